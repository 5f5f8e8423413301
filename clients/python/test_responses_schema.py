"""The gateway's own Responses answers, against the schema that OpenAI publishes."""

import json
import urllib.error
import urllib.request

import pytest

import official
from conftest import EACH

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": False,
}
SHELL = {"type": "custom", "name": "shell"}
SHAPE = {
    "type": "json_schema",
    "name": "n",
    "schema": {"type": "object", "properties": {"n": {"type": "integer"}}},
}
THINKING = {"reasoning": {"effort": "low", "summary": "auto"}, "include": ["reasoning.encrypted_content"]}
REQUESTS = {
    "text": {"input": "Hello there"},
    "settings": {
        "input": [{"role": "user", "content": "Hello there"}],
        "instructions": "Be brief",
        "metadata": {"a": "b"},
        "temperature": 0.5,
        "top_p": 0.9,
        "max_output_tokens": 64,
        "store": False,
        "user": "u",
        "prompt_cache_key": "k",
        "safety_identifier": "s",
        "service_tier": "auto",
        "truncation": "disabled",
    },
    "calls": {"input": "Weather [[echo tools=2]]", "tools": [WEATHER], "tool_choice": "auto"},
    "forced call": {"input": "Hi", "tools": [WEATHER], "tool_choice": {"type": "function", "name": "get_weather"}},
    "one call": {"input": "Hi", "tools": [WEATHER], "tool_choice": "required", "parallel_tool_calls": False},
    "custom tool": {"input": "Hi [[echo tools=1]]", "tools": [SHELL, WEATHER]},
    "thinking": {"input": "Hi [[echo thinking]]", **THINKING},
    "thinking and calls": {"input": "Hi [[echo thinking tools=1]]", "tools": [WEATHER], **THINKING},
    "shape": {"input": "Hi", "text": {"format": SHAPE, "verbosity": "low"}},
    "length": {"input": "Hi [[echo finish=length]]"},
    "filter": {"input": "Hi [[echo finish=content_filter]]"},
    "refusal": {"input": "Hi [[echo finish=refusal]]"},
    "failed": {"input": "Hi [[echo finish=failed]]"},
    "no usage": {"input": "Hi [[echo no_usage]]"},
    "unicode": {"input": "Hi [[echo unicode cached=3]]"},
}


def check(value, what):
    faults = official.faults("openai_responses", what, value)
    assert not faults, f"no {what}: {faults}\n{json.dumps(value)[:3000]}"


def ask(gateway, body, path=""):
    request = urllib.request.Request(
        f"{gateway.url}/v1/responses{path}",
        data=json.dumps(body).encode() if body else None,
        headers={"authorization": "Bearer k", "content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.read().decode()


def events(text):
    """The data of each event, whose name has to agree."""
    for event in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in event.splitlines() if line)
        if lines:
            data = json.loads(lines["data"])
            assert lines["event"] == data["type"]
            yield data


@pytest.mark.parametrize("model", EACH)
@pytest.mark.parametrize("request_name", REQUESTS)
def test_answers(gateway, model, request_name):
    body = {"model": model, **REQUESTS[request_name]}
    answer = json.loads(ask(gateway, body))
    if request_name == "failed" and "output" not in answer:
        return check(answer, "error")
    check(answer, "answer")
    assert answer["output"]


@pytest.mark.parametrize("model", EACH)
@pytest.mark.parametrize("request_name", REQUESTS)
def test_streams(gateway, model, request_name):
    seen = list(events(ask(gateway, {"model": model, "stream": True, **REQUESTS[request_name]})))
    for event in seen:
        check(event, "event")
    assert [event["sequence_number"] for event in seen] == list(range(len(seen)))
    # Every item is announced, and comes at its end as it stands in the last event.
    output = seen[-1]["response"]["output"]
    for kind in ["added", "done"]:
        items = [event for event in seen if event["type"] == f"response.output_item.{kind}"]
        assert [event["output_index"] for event in items] == list(range(len(output)))
        assert [event["item"]["id"] for event in items] == [item["id"] for item in output]
        if kind == "done":
            assert [event["item"] for event in items] == output


@pytest.mark.parametrize("model", EACH)
def test_errors_in_a_stream(gateway, model):
    for fault in ["cut_after=3", "error_after=3", "half"]:
        body = {"model": model, "stream": True, "input": f"Hello there [[echo {fault}]]"}
        text = ask(gateway, body)
        if text.startswith("{"):
            # Nothing of the answer had come.
            check(json.loads(text), "error")
            continue
        *_, last = events(text)
        check(last, "event")
        assert last["type"] in ["error", "response.failed"]


@pytest.mark.parametrize("model", EACH)
def test_errors(gateway, model):
    for body in [
        {"input": "Hi [[echo status=429]]"},
        {"input": "Hi [[echo html]]"},
        {"input": 5},
        {"input": "Hi", "previous_response_id": "resp_nobody"},
    ]:
        check(json.loads(ask(gateway, {"model": model, **body})), "error")


@pytest.mark.parametrize("model", EACH)
def test_kept_answers(gateway, model):
    first = json.loads(ask(gateway, {"model": model, "input": "Hello there"}))
    second = json.loads(ask(gateway, {"model": model, "input": "And now?", "previous_response_id": first["id"]}))
    check(json.loads(ask(gateway, None, f"/{second['id']}")), "answer")
    check(json.loads(ask(gateway, None, f"/{second['id']}/input_items")), "items")
