"""anthropic-python, unmodified, to every upstream dialect, by name, by alias and by preference."""

import anthropic
import pydantic
import pytest

from conftest import EACH, EVERY_WAY, decision

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
WEATHER = {
    "name": "get_weather",
    "description": "Weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
NAMES = [
    ("openai/gpt-5.2", "openai/gpt-5.2"),
    ("anthropic/claude-sonnet-4-5", "anthropic/claude-sonnet-4-5"),
    ("claude-sonnet-4-5", "anthropic/claude-sonnet-4-5"),
    ("fast-model", "openai/gpt-5.2"),
    ("creative-model", "anthropic/claude-sonnet-4-5"),
]


def ask(text):
    return [{"role": "user", "content": text}]


@pytest.mark.parametrize(("asked", "model"), NAMES)
def test_plain(messages, asked, model):
    raw = messages.messages.with_raw_response.create(model=asked, max_tokens=100, messages=ask("Hello there"))
    answer = raw.parse()
    assert raw.headers["x-waypost-model"] == model
    assert answer.type == "message" and answer.role == "assistant"
    assert "Hello there" in answer.content[0].text
    assert answer.stop_reason == "end_turn"
    assert answer.usage.input_tokens > 0 and answer.usage.output_tokens > 0


@pytest.mark.parametrize(
    ("prompt", "route", "model"),
    [
        ("Write a creative story about space exploration", "creative writing", "anthropic/claude-sonnet-4-5"),
        ("Explain what this function does:\n\ndef f(x): return x * 2", "code understanding", "openai/gpt-5"),
    ],
)
def test_by_preference(messages, prompt, route, model):
    raw = messages.messages.with_raw_response.create(model="auto", max_tokens=100, messages=ask(prompt))
    assert raw.headers["x-waypost-route"] == route
    assert raw.headers["x-waypost-model"] == model
    assert decision(raw)["method"] == "preference"


@pytest.mark.parametrize("model", EVERY_WAY)
def test_stream(messages, model):
    with messages.messages.stream(model=model, max_tokens=100, messages=ask("Hello there")) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_message()
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop"
    assert "Hello there" in final.content[0].text
    assert final.stop_reason == "end_turn"
    assert final.usage.input_tokens > 0 and final.usage.output_tokens > 0


@pytest.mark.parametrize("model", EVERY_WAY)
@pytest.mark.parametrize("stream", [False, True])
def test_parallel_tools_and_their_results(messages, model, stream):
    conversation = ask("Weather in two cities, please [[echo tools=2]]")
    options = {"model": model, "max_tokens": 100, "tools": [WEATHER], "messages": conversation}
    if stream:
        with messages.messages.stream(**options) as events:
            answer = events.get_final_message()
    else:
        answer = messages.messages.create(**options)
    assert answer.stop_reason == "tool_use"
    calls = [block for block in answer.content if block.type == "tool_use"]
    assert len(calls) == 2 and len({call.id for call in calls}) == 2
    assert all(call.name == "get_weather" and "city" in call.input for call in calls)
    results = [
        {"type": "tool_result", "tool_use_id": call.id, "content": f"sunny {n}"} for n, call in enumerate(calls)
    ]
    conversation = [
        *conversation,
        {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in answer.content]},
        {"role": "user", "content": [*results, {"type": "text", "text": "And now?"}]},
    ]
    answer = messages.messages.create(model=model, max_tokens=100, tools=[WEATHER], messages=conversation)
    text = answer.content[0].text
    assert "sunny 0" in text and "sunny 1" in text and "And now?" in text


@pytest.mark.parametrize("model", EACH)
@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "get_weather"}])
def test_tool_choice(messages, model, choice):
    answer = messages.messages.create(
        model=model, max_tokens=100, messages=ask("Hi"), tools=[WEATHER], tool_choice=choice
    )
    assert [block.name for block in answer.content if block.type == "tool_use"] == ["get_weather"]


@pytest.mark.parametrize("model", EVERY_WAY)
@pytest.mark.parametrize(
    "source",
    [
        {"type": "base64", "media_type": "image/png", "data": PIXEL},
        {"type": "url", "url": "https://example.com/cat.png"},
    ],
)
def test_image(messages, model, source):
    parts = [{"type": "image", "source": source}, {"type": "text", "text": "What is this?"}]
    asked = {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": parts}]}
    raw = messages.messages.with_raw_response.create(**asked)
    if model.startswith("amazon_bedrock/") and source["type"] == "url":
        # Converse takes no addresses of images.
        assert "messages[].content[].image" in raw.headers["x-waypost-dropped"]
    else:
        assert "1 image" in raw.parse().content[0].text


@pytest.mark.parametrize("model", EACH)
def test_system_turns_and_stop(messages, model):
    answer = messages.messages.create(
        model=model,
        max_tokens=100,
        system=[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        stop_sequences=["END"],
        messages=[*ask("One"), {"role": "assistant", "content": "Yes?"}, *ask("Two")],
    )
    assert "Two" in answer.content[0].text


@pytest.mark.parametrize("model", EACH)
def test_max_tokens_is_a_stop_reason(messages, model):
    answer = messages.messages.create(model=model, max_tokens=9, messages=ask("Hi [[echo finish=length]]"))
    assert answer.stop_reason == "max_tokens"


@pytest.mark.parametrize("model", EACH)
def test_cached_tokens(messages, model):
    answer = messages.messages.create(model=model, max_tokens=9, messages=ask("Hi [[echo cached=7]]"))
    assert answer.usage.cache_read_input_tokens == 7
    assert answer.usage.input_tokens > 0


ERRORS = [
    (400, anthropic.BadRequestError),
    (401, anthropic.AuthenticationError),
    (403, anthropic.PermissionDeniedError),
    (404, anthropic.NotFoundError),
    (413, anthropic.RequestTooLargeError),
    (429, anthropic.RateLimitError),
    (500, anthropic.InternalServerError),
    (529, anthropic.OverloadedError),
]


@pytest.mark.parametrize("model", EACH)
@pytest.mark.parametrize(("status", "error"), ERRORS)
def test_provider_errors_raise_the_sdks_own_classes(messages, model, status, error):
    with pytest.raises(error) as raised:
        messages.messages.create(model=model, max_tokens=9, messages=ask(f"Hi [[echo status={status}]]"))
    assert raised.value.status_code == status
    assert raised.value.body["type"] == "error"
    assert raised.value.body["error"]["message"]


@pytest.mark.parametrize("model", EACH)
@pytest.mark.parametrize("fault", ["cut_after=3", "error_after=3"])
def test_a_stream_that_breaks_raises(messages, model, fault):
    with pytest.raises(anthropic.APIError):
        with messages.messages.stream(model=model, max_tokens=9, messages=ask(f"Hi [[echo {fault}]]")) as stream:
            for _ in stream:
                pass


@pytest.mark.parametrize("model", EACH)
@pytest.mark.parametrize("fault", ["html", "garbage", "half", "empty", "reset"])
def test_faults_of_a_provider_are_502(messages, model, fault):
    with pytest.raises(anthropic.InternalServerError) as raised:
        messages.messages.create(model=model, max_tokens=9, messages=ask(f"Hi [[echo {fault}]]"))
    assert raised.value.status_code == 502
    assert raised.value.body["error"]["type"] == "api_error"


def test_unknown_model_names_the_nearest(messages):
    with pytest.raises(anthropic.NotFoundError) as raised:
        messages.messages.create(model="claude-sonnet-4-6", max_tokens=9, messages=ask("Hi"))
    assert "claude-sonnet-4-5" in raised.value.body["error"]["message"]
    assert raised.value.body["error"]["type"] == "not_found_error"


def test_thinking_passes_through(messages):
    with messages.messages.stream(
        model="anthropic/claude-sonnet-4-5",
        max_tokens=4096,
        thinking={"type": "enabled", "budget_tokens": 1024},
        messages=ask("Think first"),
    ) as stream:
        final = stream.get_final_message()
    assert final.content[0].type == "thinking" and final.content[0].signature


def test_counting_tokens(messages):
    asked = [{"role": "user", "content": "How long is this?"}]
    assert messages.messages.count_tokens(model="creative-model", messages=asked).input_tokens > 0


def test_one_model(messages):
    assert messages.models.retrieve("creative-model").display_name == "creative-model"
    with pytest.raises(anthropic.NotFoundError):
        messages.models.retrieve("nobody")


def test_models(messages):
    ids = [model.id for model in messages.models.list()]
    assert "creative-model" in ids and len(ids) == len(set(ids)) > 6
    first = messages.models.list(limit=3)
    assert ([model.id for model in first.data], first.has_more, first.last_id) == (ids[:3], True, ids[2])
    # The SDK turns the pages.
    assert [model.id for model in messages.models.list(limit=3)] == ids
    assert [model.id for model in messages.models.list(limit=2, after_id=ids[1])] == ids[2:]
    before = messages.models.list(limit=2, before_id=ids[5])
    assert ([model.id for model in before.data], before.has_more) == (ids[3:5], True)
    with pytest.raises(anthropic.BadRequestError, match="after_id"):
        messages.models.list(after_id="nobody")


@pytest.mark.parametrize("stream", [False, True])
def test_thinking_of_a_responses_provider_goes_round(messages, reached, stream):
    conversation = ask("First")
    options = {
        "model": "native/gpt-5.1",
        "max_tokens": 4096,
        "thinking": {"type": "enabled", "budget_tokens": 2048},
        "tools": [WEATHER],
        "messages": conversation,
    }
    if stream:
        with messages.messages.stream(**options) as events:
            answer = events.get_final_message()
    else:
        answer = messages.messages.create(**options)
    assert [block.type for block in answer.content] == ["thinking", "text"]
    said = [block.model_dump(exclude_none=True) for block in answer.content]
    options["messages"] = [*conversation, {"role": "assistant", "content": said}, *ask("Second")]
    assert "Second" in messages.messages.create(**options).content[-1].text
    # The provider gets what it had sealed.
    sealed = reached()["input"][1]
    assert sealed["type"] == "reasoning"
    assert answer.content[0].signature.endswith(f"{sealed['id']}:{sealed['encrypted_content']}")


def test_structured_output_of_a_responses_provider(messages):
    class City(pydantic.BaseModel):
        name: str

    options = {"max_tokens": 100, "messages": ask("A city"), "output_format": City}
    assert isinstance(messages.messages.parse(model="native/gpt-5.1", **options).parsed_output, City)
