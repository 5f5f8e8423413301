"""openai-python, unmodified, to every upstream dialect, by name, by alias and by preference."""

import json
import time

import openai
import pytest

from conftest import EACH, EVERY_WAY, decision

PIXEL = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
    },
}
# What is asked for, who has to answer.
NAMES = [
    ("openai/gpt-5.2", "openai/gpt-5.2"),
    ("gpt-5", "openai/gpt-5"),
    ("anthropic/claude-sonnet-4-5", "anthropic/claude-sonnet-4-5"),
    ("fast-model", "openai/gpt-5.2"),
    ("creative-model", "anthropic/claude-sonnet-4-5"),
]


def said(message):
    """The message as a conversation takes it: without what the SDK has added, and what only an answer has."""
    kept = message.model_dump(exclude_none=True, exclude={"parsed", "annotations"})
    for call in kept.get("tool_calls", []):
        call["function"].pop("parsed_arguments", None)
        call.pop("index", None)
    return kept


def ask(text):
    return [{"role": "user", "content": text}]


@pytest.mark.parametrize(("asked", "model"), NAMES)
def test_plain(chat, asked, model):
    raw = chat.chat.completions.with_raw_response.create(model=asked, messages=ask("Hello there"))
    answer = raw.parse()
    assert raw.headers["x-waypost-model"] == model
    assert "Hello there" in answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.prompt_tokens > 0 and answer.usage.completion_tokens > 0
    assert answer.object == "chat.completion"
    assert abs(answer.created - time.time()) < 60


@pytest.mark.parametrize(
    ("prompt", "route", "model"),
    [
        ("Write a creative story about space exploration", "creative writing", "anthropic/claude-sonnet-4-5"),
        ("Write a Python function that parses a CSV file", "code generation", "anthropic/claude-sonnet-4-5"),
        ("Explain what this function does:\n\ndef f(x): return x * 2", "code understanding", "openai/gpt-5"),
        ("What is the weather in Lisbon tomorrow?", None, "openai/gpt-5.2"),
    ],
)
@pytest.mark.parametrize("asked", ["auto", ""])
def test_by_preference(chat, asked, prompt, route, model):
    raw = chat.chat.completions.with_raw_response.create(model=asked, messages=ask(prompt))
    assert raw.headers.get("x-waypost-route") == route
    assert raw.headers["x-waypost-model"] == model
    parts = decision(raw)
    assert parts["method"] == ("preference" if route else "default")
    assert parts["scorer"] == "embedded"
    assert 0 <= float(parts["confidence"]) <= 1
    assert raw.headers["x-waypost-request-id"]


@pytest.mark.parametrize("model", EVERY_WAY)
def test_stream(chat, model):
    stream = chat.chat.completions.create(
        model=model, messages=ask("Hello there"), stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert "Hello there" in text
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason] == ["stop"]
    assert chunks[-1].usage.prompt_tokens > 0 and chunks[-1].usage.completion_tokens > 0


@pytest.mark.parametrize("model", EVERY_WAY)
def test_stream_without_usage_has_none(chat, reached, reached_dialect, model):
    chunks = list(chat.chat.completions.create(model=model, messages=ask("Hi"), stream=True))
    assert all(chunk.choices and "usage" not in chunk.model_fields_set for chunk in chunks)
    # A provider that is known to take it has been asked all the same, so that the request has a cost.
    if reached_dialect() == "openai_chat":
        asked = None if model.startswith("plain/") else {"include_usage": True}
        assert reached().get("stream_options") == asked


@pytest.mark.parametrize("model", EVERY_WAY)
@pytest.mark.parametrize("stream", [False, True])
def test_parallel_tools_and_their_results(chat, model, stream):
    conversation = ask("Weather in two cities, please [[echo tools=2]]")
    options = {"model": model, "tools": [WEATHER], "messages": conversation}
    if stream:
        with chat.chat.completions.stream(**options) as events:
            message = events.get_final_completion().choices[0].message
    else:
        answer = chat.chat.completions.create(**options)
        assert answer.choices[0].finish_reason == "tool_calls"
        message = answer.choices[0].message
    assert len(message.tool_calls) == 2
    for call in message.tool_calls:
        assert call.function.name == "get_weather"
        assert "city" in json.loads(call.function.arguments)
    assert len({call.id for call in message.tool_calls}) == 2
    conversation = [
        *conversation,
        said(message),
        *[{"role": "tool", "tool_call_id": call.id, "content": f"sunny {n}"} for n, call in enumerate(message.tool_calls)],
    ]
    answer = chat.chat.completions.create(model=model, tools=[WEATHER], messages=conversation)
    assert "sunny 0" in answer.choices[0].message.content
    assert "sunny 1" in answer.choices[0].message.content


@pytest.mark.parametrize("model", EACH)
@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "get_weather"}}])
def test_tool_choice(chat, model, choice):
    answer = chat.chat.completions.create(model=model, messages=ask("Hi"), tools=[WEATHER], tool_choice=choice)
    assert answer.choices[0].message.tool_calls[0].function.name == "get_weather"


@pytest.mark.parametrize("model", EVERY_WAY)
@pytest.mark.parametrize("url", [PIXEL, "https://example.com/cat.png"])
def test_image(chat, model, url):
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": url}}]
    raw = chat.chat.completions.with_raw_response.create(model=model, messages=[{"role": "user", "content": parts}])
    if model.startswith("amazon_bedrock/") and url != PIXEL:
        # Converse takes no addresses of images.
        assert "messages[].content[].image_url" in raw.headers["x-waypost-dropped"]
    else:
        assert "1 image" in raw.parse().choices[0].message.content


@pytest.mark.parametrize("model", EACH)
def test_system_prompt_turns_and_stop(chat, model):
    # A model that thinks refuses it from a client of its own API, and the provider is the judge there.
    stop = {} if model == "openai/gpt-5.2" else {"stop": ["END"]}
    answer = chat.chat.completions.create(
        model=model,
        **stop,
        temperature=0.2,
        messages=[
            {"role": "system", "content": "Be brief."},
            *ask("One"),
            {"role": "assistant", "content": "Yes?"},
            *ask("Two"),
        ],
    )
    assert "Two" in answer.choices[0].message.content


@pytest.mark.parametrize("model", EACH)
@pytest.mark.parametrize("word", ["length", "content_filter"])
def test_finish_reasons(chat, model, word):
    answer = chat.chat.completions.create(model=model, messages=ask(f"Hi [[echo finish={word}]]"))
    assert answer.choices[0].finish_reason == word


@pytest.mark.parametrize("model", EACH)
def test_cached_tokens(chat, model):
    answer = chat.chat.completions.create(model=model, messages=ask("Hi [[echo cached=7]]"))
    assert answer.usage.prompt_tokens_details.cached_tokens == 7
    assert answer.usage.prompt_tokens >= 7


ERRORS = [
    (400, openai.BadRequestError),
    (401, openai.AuthenticationError),
    (403, openai.PermissionDeniedError),
    (404, openai.NotFoundError),
    (409, openai.ConflictError),
    (422, openai.UnprocessableEntityError),
    (429, openai.RateLimitError),
    (500, openai.InternalServerError),
    (503, openai.InternalServerError),
    (529, openai.InternalServerError),
]


@pytest.mark.parametrize("model", EACH)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("status", "error"), ERRORS)
def test_provider_errors_raise_the_sdks_own_classes(chat, model, stream, status, error):
    with pytest.raises(error) as raised:
        chat.chat.completions.create(model=model, messages=ask(f"Hi [[echo status={status}]]"), stream=stream)
    assert raised.value.status_code == status
    assert raised.value.body["message"]
    assert raised.value.response.headers["x-waypost-request-id"]


@pytest.mark.parametrize("model", EACH)
@pytest.mark.parametrize("fault", ["html", "garbage", "half", "empty", "content_type=text/plain", "reset"])
@pytest.mark.parametrize("stream", [False, True])
def test_faults_of_a_provider_are_502(chat, model, fault, stream):
    with pytest.raises((openai.InternalServerError, openai.APIError)) as raised:
        answer = chat.chat.completions.create(model=model, messages=ask(f"Hi [[echo {fault}]]"), stream=stream)
        if stream:
            list(answer)
    if not stream:
        assert raised.value.status_code == 502
    assert chat.chat.completions.create(model=model, messages=ask("still there?")).choices


@pytest.mark.parametrize("model", EACH)
@pytest.mark.parametrize("fault", ["cut_after=3", "error_after=3"])
def test_a_stream_that_breaks_raises(chat, model, fault):
    with pytest.raises(openai.APIError):
        for _ in chat.chat.completions.create(model=model, messages=ask(f"Hi [[echo {fault}]]"), stream=True):
            pass


@pytest.mark.parametrize("model", EACH)
def test_a_provider_that_hangs_is_504(gateway, model):
    client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="k", max_retries=0, timeout=20)
    with pytest.raises(openai.InternalServerError) as raised:
        client.chat.completions.create(model=model, messages=ask("Hi [[echo hang]]"))
    assert raised.value.status_code == 504


def test_unknown_model_names_the_nearest(chat):
    with pytest.raises(openai.NotFoundError) as raised:
        chat.chat.completions.create(model="gpt-5.3", messages=ask("Hi"))
    assert "gpt-5.2" in raised.value.body["message"]
    assert raised.value.code == "model_not_found"


def test_embeddings(chat):
    found = chat.embeddings.create(model="fast-model", input=["one text", "another"])
    assert [len(row.embedding) for row in found.data] == [8, 8]
    assert found.data[0].embedding != found.data[1].embedding


def test_text_completions(chat):
    assert chat.completions.create(model="gpt-5", prompt="Once upon").choices[0].text == "echo: Once upon"
    parts = list(chat.completions.create(model="gpt-5", prompt="Once upon", stream=True))
    assert "".join(part.choices[0].text for part in parts) == "echo: Once upon"


def test_one_model(chat):
    assert chat.models.retrieve("fast-model").id == "fast-model"
    with pytest.raises(openai.NotFoundError):
        chat.models.retrieve("nobody")


def test_models(chat):
    ids = [model.id for model in chat.models.list()]
    assert ids == [
        "openai/gpt-5.2",
        "openai/gpt-5",
        "anthropic/claude-sonnet-4-5",
        "plain/llama-4",
        "native/gpt-5.1",
        "native/gemini-3-pro",
        "native/gemini-2.5-flash",
        "amazon_bedrock/anthropic.claude-sonnet-4-5-20250929-v1:0",
        "fast-model",
        "creative-model",
        "auto",
    ]


@pytest.mark.parametrize("model", EACH)
def test_characters_split_over_chunks_survive(chat, model):
    stream = chat.chat.completions.create(model=model, messages=ask("Hi [[echo unicode]]"), stream=True)
    text = "".join(choice.delta.content or "" for chunk in stream for choice in chunk.choices)
    assert "\ufffd" not in text
    assert any(ord(character) > 0xFFFF for character in text)


def test_thinking_of_a_responses_provider_goes_round(chat, reached):
    options = {"model": "native/gpt-5.1", "reasoning_effort": "low"}
    message = chat.chat.completions.create(messages=ask("First"), **options).choices[0].message
    conversation = [*ask("First"), message.model_dump(exclude_none=True), *ask("Second")]
    assert "Second" in chat.chat.completions.create(messages=conversation, **options).choices[0].message.content
    # The provider gets what it had sealed.
    assert reached()["input"][1]["encrypted_content"] == message.reasoning_details[0]["data"]


@pytest.mark.parametrize("model", ["native/gpt-5.1", "openai/gpt-5.2"])
@pytest.mark.parametrize("role", ["system", "developer"])
def test_json_is_asked_for_where_the_provider_looks(chat, model, role):
    # Responses wants the word in a message, and does not look into instructions.
    messages = [{"role": role, "content": "Answer in JSON"}, *ask("Hi")]
    options = {"model": model, "messages": messages, "response_format": {"type": "json_object"}}
    assert json.loads(chat.chat.completions.create(**options).choices[0].message.content)
