"""What a client is told of its own request, as each SDK shows it; unknown to the SDK, and to the official schemas."""

import anthropic
import openai
import pytest
from google import genai
from google.genai import types

from conftest import EACH

HEADERS = {"x-waypost-metadata": "enabled"}
PROMPT = [{"role": "user", "content": "Hello there"}]
STREAM = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@pytest.fixture(scope="module")
def sdks(gateway):
    options = {"api_key": "client-key", "max_retries": 0, "timeout": 20, "default_headers": HEADERS}
    http = types.HttpOptions(base_url=gateway.url, timeout=20_000, headers=HEADERS)
    return (
        openai.OpenAI(base_url=f"{gateway.url}/v1", **options),
        anthropic.Anthropic(base_url=gateway.url, **options),
        genai.Client(api_key="client-key", http_options=http),
    )


def check(told, model):
    assert told["model"] == told["requested"] == model and told["method"] == "name"
    assert told["attempts"] == 1 and isinstance(told["dropped"], list) and len(told["request_id"]) == 36
    assert told["default_cost"] > 0


@pytest.mark.parametrize("model", EACH)
@STREAM
def test_chat(sdks, model, stream):
    ask = {"model": model, "messages": PROMPT}
    if not stream:
        return check(sdks[0].chat.completions.create(**ask).waypost, model)
    # A provider that no row describes is not asked for usage unless the client does.
    unasked = [] if model.startswith("plain/") else [{}]
    for options in [*unasked, {"stream_options": {"include_usage": True}}]:
        with sdks[0].chat.completions.stream(**ask, **options) as events:
            chunks = [event.chunk for event in events if event.type == "chunk"]
            assert "Hello there" in events.get_final_completion().choices[0].message.content
        assert all("waypost" not in (chunk.model_extra or {}) for chunk in chunks[:-1])
        check(chunks[-1].waypost, model)


@pytest.mark.parametrize("model", EACH)
@STREAM
def test_responses(sdks, model, stream):
    ask = {"model": model, "input": "Hello there"}
    if not stream:
        return check(sdks[0].responses.create(**ask).waypost, model)
    with sdks[0].responses.stream(**ask) as events:
        answer = events.get_final_response()
    assert "Hello there" in answer.output_text
    check(answer.waypost, model)


@pytest.mark.parametrize("model", EACH)
@STREAM
def test_messages(sdks, model, stream):
    ask = {"model": model, "max_tokens": 100, "messages": PROMPT}
    if not stream:
        return check(sdks[1].messages.create(**ask).waypost, model)
    with sdks[1].messages.stream(**ask) as events:
        told = [event.waypost for event in events if event.type == "message_delta"]
        assert "Hello there" in events.get_final_text()
    check(told[-1], model)


@pytest.mark.parametrize("model", EACH)
@STREAM
def test_gemini(sdks, model, stream):
    """The SDK leaves out what it does not know; the headers that say the same are there."""
    ask = {"model": model, "contents": "Hello there"}
    if stream:
        answers = list(sdks[2].models.generate_content_stream(**ask))
    else:
        answers = [sdks[2].models.generate_content(**ask)]
    assert "Hello there" in "".join(answer.text or "" for answer in answers)
    headers = answers[-1].sdk_http_response.headers
    assert headers["x-waypost-model"] == model and "x-waypost-request-id" in headers


def test_the_decision_is_told(sdks):
    ask = {"model": "auto", "messages": [{"role": "user", "content": "Write a short story about a dragon"}]}
    told = sdks[0].chat.completions.create(**ask).waypost
    assert (told["method"], told["route"], told["requested"]) == ("preference", "creative writing", "auto")
    assert 0 < told["confidence"] <= 1 and told["cost"] > 0
