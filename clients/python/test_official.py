"""The official schemas can say no."""

import copy

import pytest

import official

WEATHER = {"name": "f", "input_schema": {"type": "object"}}
GOOD = {
    ("openai_chat", "request"): {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": True},
    ("openai_responses", "request"): {"model": "m", "input": [{"role": "user", "content": "Hi"}]},
    ("anthropic_messages", "request"): {
        "model": "m",
        "max_tokens": 5,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
        "tools": [WEATHER],
    },
    ("gemini", "request"): {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
    ("anthropic_messages", "event"): {"type": "content_block_stop", "index": 0},
    ("openai_chat", "error"): {"error": {"message": "m", "type": "t", "param": None, "code": None}},
    ("anthropic_messages", "error"): {"type": "error", "error": {"type": "request_too_large", "message": "m"}},
    ("gemini", "error"): {"error": {"code": 400, "message": "m", "status": "INVALID_ARGUMENT"}},
}
# A dialect, what it is, where something else stands, and what.
BAD = [
    ("openai_chat", "request", [], {"system": "of another API"}),
    ("openai_chat", "request", ["messages", 0], {"role": "nobody"}),
    ("openai_chat", "request", ["messages", 0], {"unheard_of": 1}),
    ("openai_responses", "request", [], {"messages": []}),
    ("openai_responses", "request", ["input", 0], {"content": [{"type": "text", "text": "of another API"}]}),
    ("anthropic_messages", "request", [], {"max_tokens": "5"}),
    ("anthropic_messages", "request", ["messages", 0, "content", 0], {"unheard_of": 1}),
    ("anthropic_messages", "request", ["tools", 0], {"parameters": {}}),
    ("gemini", "request", [], {"messages": []}),
    ("gemini", "request", ["contents", 0, "parts", 0], {"type": "text"}),
    ("anthropic_messages", "event", [], {"type": "unheard_of"}),
    ("anthropic_messages", "event", [], {"index": None}),
    ("openai_chat", "error", ["error"], {"message": None}),
    ("anthropic_messages", "error", ["error"], {"type": "unheard_of"}),
    ("gemini", "error", ["error"], {"code": "many"}),
]


@pytest.mark.parametrize(("dialect", "what"), GOOD)
def test_good(dialect, what):
    assert official.faults(dialect, what, GOOD[dialect, what]) == []


@pytest.mark.parametrize(("dialect", "what", "place", "change"), BAD)
def test_bad(dialect, what, place, change):
    value = copy.deepcopy(GOOD[dialect, what])
    at = value
    for step in place:
        at = at[step]
    at.update(change)
    assert official.faults(dialect, what, value)


def test_names_of_google_in_snake_case_are_known():
    request = {"contents": [{"parts": [{"inline_data": {"mime_type": "image/png", "data": "AA=="}}]}]}
    assert official.faults("gemini", "request", request) == []
    assert official.faults("gemini", "request", {**request, "generation_config": {"max_tokens": 1}})


@pytest.mark.parametrize("stream", [False, True])
def test_the_witnesses_say_no(gateway, chat, stream):
    seen = dict(gateway.downstream.seen)
    # A provider of the same API gets what the client says, and this client makes something up.
    options = {"model": "plain/llama-4", "messages": [{"role": "user", "content": "Hi"}], "stream": stream}
    answer = chat.chat.completions.create(**options, extra_body={"unheard_of": 1})
    if stream:
        list(answer)
    verdicts = gateway.upstream.take()
    assert len(verdicts) == 1 and "unheard_of" in verdicts[0]
    assert gateway.downstream.seen["event" if stream else "answer"] > seen["event" if stream else "answer"]
