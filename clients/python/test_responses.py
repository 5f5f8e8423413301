"""openai-python's `responses`, unmodified, to every upstream dialect."""

import json
import time

import openai
import pydantic
import pytest

from conftest import EACH, decision

PIXEL = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Weather of a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city", "days"],
        "additionalProperties": False,
    },
    "strict": True,
}
# Providers that speak Responses keep answers themselves; for the others the gateway does.
NATIVE = ["native/gpt-5.1", "openai/gpt-5.2"]
THINKING = {"reasoning": {"effort": "low", "summary": "auto"}, "include": ["reasoning.encrypted_content"], "store": False}


class Forecast(pydantic.BaseModel):
    city: str
    days: int
    warnings: list[str]


def ask(text):
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def kinds(answer):
    """The kinds of items. One dialect gives a signature of its own besides the thinking that is shown."""
    found = [item.type for item in answer.output]
    return sorted(set(found), key=["reasoning", "message", "function_call"].index)


def finish(client, stream, **options):
    """The answer of a request, or the last one of its stream through the SDK's helper."""
    if not stream:
        return client.responses.create(**options)
    with client.responses.stream(**options) as events:
        for _ in events:
            pass
        return events.get_final_response()


@pytest.mark.parametrize("model", [*EACH, "fast-model", "creative-model"])
def test_plain(chat, model):
    raw = chat.responses.with_raw_response.create(
        model=model,
        input="Hello there",
        instructions="Be brief",
        metadata={"team": "a"},
        temperature=0.5,
        max_output_tokens=50,
    )
    answer = raw.parse()
    assert raw.headers["x-waypost-model"] in EACH
    assert answer.output_text.endswith("Hello there (system prompt: Be brief)")
    assert (answer.object, answer.status, answer.error, answer.incomplete_details) == ("response", "completed", None, None)
    assert answer.id.startswith("resp_") and answer.output[0].id.startswith("msg_")
    assert answer.instructions == "Be brief" and answer.metadata == {"team": "a"}
    assert (answer.temperature, answer.max_output_tokens) == (0.5, 50)
    assert abs(answer.created_at - time.time()) < 60
    usage = answer.usage
    assert usage.input_tokens > 0 and usage.total_tokens == usage.input_tokens + usage.output_tokens


def test_by_preference(chat):
    for input in [
        "Write a creative story about space exploration",
        [ask("Write a creative story about space exploration")],
    ]:
        raw = chat.responses.with_raw_response.create(model="auto", input=input)
        assert raw.headers["x-waypost-route"] == "creative writing"
        assert raw.headers["x-waypost-model"] == "anthropic/claude-sonnet-4-5"
        assert decision(raw)["method"] == "preference"


@pytest.mark.parametrize("model", EACH)
def test_stream(chat, model):
    events = list(chat.responses.create(model=model, input="Hello there", stream=True))
    kinds = [event.type for event in events]
    assert kinds[:4] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    assert kinds[-4:] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert set(kinds[4:-4]) == {"response.output_text.delta"}
    assert [event.sequence_number for event in events] == list(range(len(events)))
    text = "".join(event.delta for event in events[4:-4])
    answer = events[-1].response
    assert text == answer.output_text and "Hello there" in text
    assert events[0].response.status == "in_progress" and events[0].response.id == answer.id
    assert answer.usage.input_tokens > 0 and answer.usage.output_tokens > 0


@pytest.mark.parametrize("model", EACH)
def test_stream_helper(chat, model):
    with chat.responses.stream(model=model, input="Hello there") as events:
        snapshots = [event.snapshot for event in events if event.type == "response.output_text.delta"]
        answer = events.get_final_response()
    assert snapshots[-1] == answer.output_text
    assert answer.status == "completed"


@pytest.mark.parametrize("model", EACH)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("by_id", [False, True])
def test_a_loop_of_tools(chat, model, stream, by_id):
    conversation = [ask("Weather in two cities, please [[echo tools=2]]")]
    options = {"model": model, "tools": [WEATHER]}
    answer = finish(chat, stream, input=conversation, **options)
    calls = [item for item in answer.output if item.type == "function_call"]
    assert answer.status == "completed" and len({call.call_id for call in calls}) == 2
    assert len({call.id for call in calls}) == 2 and all(call.id.startswith("fc_") for call in calls)
    for call in calls:
        assert call.name == "get_weather" and json.loads(call.arguments).keys() == {"city", "days"}
    results = [
        {"type": "function_call_output", "call_id": call.call_id, "output": f"sunny {n}"}
        for n, call in enumerate(calls)
    ]
    if by_id:
        answer = finish(chat, stream, input=results, previous_response_id=answer.id, **options)
    else:
        answer = finish(chat, stream, input=[*conversation, *answer.output, *results], **options)
    assert "sunny 0" in answer.output_text and "sunny 1" in answer.output_text


@pytest.mark.parametrize("model", EACH)
def test_the_events_of_calls(chat, model):
    events = list(
        chat.responses.create(model=model, input="Weather [[echo tools=2]]", tools=[WEATHER], stream=True)
    )
    places = [place for place, item in enumerate(events[-1].response.output) if item.type == "function_call"]
    assert len(places) == 2
    for place in places:
        mine = [event for event in events if getattr(event, "output_index", None) == place]
        written = "".join(event.delta for event in mine if event.type == "response.function_call_arguments.delta")
        done = next(event for event in mine if event.type == "response.function_call_arguments.done")
        assert done.arguments == written == mine[-1].item.arguments
        assert done.item_id == mine[0].item.id == mine[-1].item.id
        assert mine[0].item.call_id == mine[-1].item.call_id
        assert events[-1].response.output[place].arguments == written


@pytest.mark.parametrize("model", EACH)
@pytest.mark.parametrize("choice", ["required", {"type": "function", "name": "get_weather"}])
def test_tool_choice(chat, model, choice):
    answer = chat.responses.create(model=model, input="Hi", tools=[WEATHER], tool_choice=choice)
    assert answer.output[-1].name == "get_weather"
    unforced = chat.responses.create(model=model, input="Hi [[echo tools=2]]", tools=[WEATHER], tool_choice="none")
    assert unforced.output[-1].type == "message"
    raw = chat.responses.with_raw_response.create(
        model=model, input="Hi [[echo tools=2]]", tools=[WEATHER], parallel_tool_calls=False
    )
    if "gemini" in model or model.startswith("amazon_bedrock/"):
        # These APIs have no such setting.
        assert "parallel_tool_calls" in raw.headers["x-waypost-dropped"]
    else:
        assert len([item for item in raw.parse().output if item.type == "function_call"]) == 1


@pytest.mark.parametrize("model", EACH)
def test_structured_output(chat, model):
    answer = chat.responses.parse(model=model, input="The forecast, please", text_format=Forecast)
    assert isinstance(answer.output_parsed, Forecast)
    with chat.responses.stream(model=model, input="The forecast, please", text_format=Forecast) as events:
        for _ in events:
            pass
        assert events.get_final_response().output_parsed == answer.output_parsed
    tool = openai.pydantic_function_tool(Forecast)["function"]
    options = {"tools": [{"type": "function", **tool}], "tool_choice": "required"}
    call = chat.responses.parse(model=model, input="The forecast, please", **options).output[-1]
    assert call.parsed_arguments == answer.output_parsed.model_dump()


@pytest.mark.parametrize("model", EACH)
def test_json_of_any_shape(chat, model):
    options = {"text": {"format": {"type": "json_object"}}, "input": "Answer in JSON"}
    raw = chat.responses.with_raw_response.create(model=model, **options)
    if model.startswith(("anthropic/", "amazon_bedrock/")):
        # These APIs know JSON of a schema only.
        assert "text.format" in raw.headers["x-waypost-dropped"]
    else:
        assert isinstance(json.loads(raw.parse().output_text), dict)


@pytest.mark.parametrize("model", EACH)
@pytest.mark.parametrize("url", [PIXEL, "https://example.com/cat.png"])
def test_image(chat, model, url):
    content = [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": url, "detail": "auto"},
    ]
    raw = chat.responses.with_raw_response.create(model=model, input=[{"role": "user", "content": content}])
    if model.startswith("amazon_bedrock/") and url != PIXEL:
        # Converse takes no addresses of images.
        assert "input[].content[].input_image" in raw.headers["x-waypost-dropped"]
    else:
        assert "1 image" in raw.parse().output_text


@pytest.mark.parametrize("model", EACH)
@pytest.mark.parametrize("stream", [False, True])
def test_thinking_goes_round(chat, reached, model, stream):
    conversation = [ask("First [[echo thinking]]")]
    answer = finish(chat, stream, model=model, input=conversation, **THINKING)
    assert kinds(answer) == ["reasoning", "message"]
    assert "echo of 5 characters" in answer.output[0].summary[0].text
    assert answer.usage.output_tokens_details.reasoning_tokens >= 0
    sealed = answer.output[0].encrypted_content
    assert sealed
    conversation += [*answer.output, ask("Second")]
    answer = finish(chat, stream, model=model, input=conversation, **THINKING)
    assert "Second" in answer.output_text
    body = reached()
    if model in NATIVE:
        assert body["input"][1]["encrypted_content"] == sealed
    elif model.startswith("anthropic/"):
        block = body["messages"][1]["content"][0]
        assert block["type"] == "thinking" and block["signature"] in sealed


@pytest.mark.parametrize("model", EACH)
@pytest.mark.parametrize("stream", [False, True])
def test_thinking_with_tools_goes_round(chat, model, stream):
    conversation = [ask("Weather [[echo thinking tools=1]]")]
    options = {"model": model, "tools": [WEATHER], **THINKING}
    answer = finish(chat, stream, input=conversation, **options)
    assert kinds(answer) == ["reasoning", "function_call"]
    result = {"type": "function_call_output", "call_id": answer.output[-1].call_id, "output": "sunny"}
    answer = finish(chat, stream, input=[*conversation, *answer.output, result], **options)
    assert "sunny" in answer.output_text


@pytest.mark.parametrize("model", EACH)
def test_thinking_of_one_provider_is_not_shown_to_another(chat, model):
    for other in EACH:
        answer = chat.responses.create(model=other, input="First [[echo thinking]]", **THINKING)
        conversation = [ask("First"), *answer.output, ask("Second")]
        assert "Second" in chat.responses.create(model=model, input=conversation, **THINKING).output_text


@pytest.mark.parametrize("model", EACH)
@pytest.mark.parametrize("stream", [False, True])
def test_turns_by_id(chat, reached, model, stream):
    previous, turns = None, ["One", "Two", "Three", "Four"]
    for turn in turns:
        answer = finish(chat, stream, model=model, input=turn, previous_response_id=previous or openai.NOT_GIVEN)
        assert answer.previous_response_id == previous
        assert f": {turn}" in answer.output_text
        previous = answer.id
    if model not in NATIVE:
        # Everything that was said reaches a provider that keeps nothing.
        body = reached()
        assert len(body.get("messages") or body["contents"]) == 7


@pytest.mark.parametrize("model", EACH)
def test_turns_by_full_input(chat, model):
    conversation = [{"role": "developer", "content": "Be brief"}]
    for turn in ["One", "Two", "Three"]:
        conversation.append({"role": "user", "content": turn})
        answer = chat.responses.create(model=model, input=conversation, store=False)
        assert f": {turn}" in answer.output_text
        conversation += answer.output


@pytest.mark.parametrize("model", EACH)
@pytest.mark.parametrize("stream", [False, True])
def test_a_kept_answer(chat, model, stream):
    answer = finish(chat, stream, model=model, input="Hello there")
    assert chat.responses.retrieve(answer.id).output_text == answer.output_text
    items = chat.responses.input_items.list(answer.id).data
    assert [item.content[0].text for item in items] == ["Hello there"]
    chat.responses.delete(answer.id)
    for gone in [chat.responses.retrieve, chat.responses.delete, chat.responses.input_items.list]:
        with pytest.raises(openai.NotFoundError) as raised:
            gone(answer.id)
        assert answer.id in raised.value.body["message"]


@pytest.mark.parametrize("model", EACH)
def test_the_items_of_an_input_are_the_newest_first(chat, model):
    first = chat.responses.create(model=model, input="One")
    second = chat.responses.create(model=model, input="Two", previous_response_id=first.id)
    said = ["Two", first.output_text, "One"]
    for limit in [1, 2, 20]:
        items = list(chat.responses.input_items.list(second.id, limit=limit))
        assert [item.content[0].text for item in items] == said
    items = list(chat.responses.input_items.list(second.id, order="asc"))
    assert [item.content[0].text for item in items] == said[::-1]


@pytest.mark.parametrize("model", EACH)
def test_an_answer_that_nobody_knows(chat, model):
    with pytest.raises(openai.BadRequestError) as raised:
        chat.responses.create(model=model, input="Hi", previous_response_id="resp_nobody")
    assert raised.value.code == "previous_response_not_found"
    assert raised.value.param == "previous_response_id"
    unkept = chat.responses.create(model=model, input="Hi", store=False)
    assert unkept.store is False
    with pytest.raises(openai.NotFoundError):
        chat.responses.retrieve(unkept.id)


def test_an_answer_is_its_callers_alone(gateway, chat):
    stranger = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="another-key", max_retries=0)
    for model in EACH:
        answer = chat.responses.create(model=model, input="Hi")
        with pytest.raises(openai.NotFoundError):
            stranger.responses.retrieve(answer.id)


@pytest.mark.parametrize("model", EACH)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("word", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
def test_incomplete_answers(chat, model, stream, word, reason):
    answer = chat.responses.create(model=model, input=f"Hi [[echo finish={word}]]", stream=stream)
    if stream:
        # The SDK's helper has no final answer of these.
        *_, last = answer
        assert last.type == "response.incomplete"
        answer = last.response
    assert answer.status == "incomplete" and answer.incomplete_details.reason == reason


@pytest.mark.parametrize("model", EACH)
@pytest.mark.parametrize("stream", [False, True])
def test_cached_tokens(chat, model, stream):
    usage = finish(chat, stream, model=model, input="Hi [[echo cached=7]]").usage
    assert usage.input_tokens_details.cached_tokens == 7
    assert usage.input_tokens >= 7


ERRORS = [
    (400, openai.BadRequestError),
    (401, openai.AuthenticationError),
    (403, openai.PermissionDeniedError),
    (404, openai.NotFoundError),
    (409, openai.ConflictError),
    (422, openai.UnprocessableEntityError),
    (429, openai.RateLimitError),
    (500, openai.InternalServerError),
    (529, openai.InternalServerError),
]


@pytest.mark.parametrize("model", EACH)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("status", "error"), ERRORS)
def test_provider_errors_raise_the_sdks_own_classes(chat, model, stream, status, error):
    with pytest.raises(error) as raised:
        chat.responses.create(model=model, input=f"Hi [[echo status={status}]]", stream=stream)
    assert raised.value.status_code == status and raised.value.body["message"]
    assert raised.value.response.headers["x-waypost-request-id"]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"input": 5}, openai.BadRequestError),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, openai.BadRequestError),
        ({"input": "Hi", "tools": [{"type": "function", "name": ""}]}, openai.BadRequestError),
        ({"input": "Hi", "model": "nobody/nothing"}, openai.NotFoundError),
    ],
)
def test_bad_requests(gateway, chat, options, error):
    for model in EACH:
        with pytest.raises(error) as raised:
            chat.responses.create(**{"model": model, **options})
        assert raised.value.body["message"]
    # What the client asks goes on as it is to a provider of the same API.
    assert all("no request of openai_responses" in verdict for verdict in gateway.upstream.take())


@pytest.mark.parametrize("model", EACH)
@pytest.mark.parametrize("fault", ["html", "garbage", "half", "empty", "wrong_type", "reset"])
def test_faults_of_a_provider_are_502(chat, model, fault):
    with pytest.raises(openai.InternalServerError) as raised:
        chat.responses.create(model=model, input=f"Hi [[echo {fault}]]")
    assert raised.value.status_code == 502


@pytest.mark.parametrize("model", EACH)
@pytest.mark.parametrize("fault", ["cut_after=3", "error_after=3", "half", "garbage"])
@pytest.mark.parametrize("helper", [False, True])
def test_a_stream_that_breaks_raises(chat, model, fault, helper):
    options = {"model": model, "input": f"Hi there [[echo {fault}]]"}
    with pytest.raises((openai.APIError, RuntimeError)):
        if helper:
            finish(chat, True, **options)
        else:
            list(chat.responses.create(**options, stream=True))


@pytest.mark.parametrize("model", EACH)
@pytest.mark.parametrize("fault", ["cut_after=7", "error_after=7"])
def test_a_stream_that_breaks_is_numbered_and_fails(chat, model, fault):
    stream = chat.responses.create(
        model=model, input=f"Hi there, my good old friend of mine [[echo {fault}]]", stream=True
    )
    if model in NATIVE and fault.startswith("error"):
        # The provider's own event goes through, and the SDK gives it as one.
        *seen, last = stream
        assert (last.type, last.sequence_number) == ("error", len(seen))
        return
    seen = []
    with pytest.raises(openai.APIError) as raised:
        for event in stream:
            seen.append(event)
    assert raised.value.message and seen[0].type == "response.created"
    assert [event.sequence_number for event in seen] == list(range(len(seen)))
    if model not in NATIVE:
        # Of an answer of another API's provider the end is made here.
        failed = seen[-1]
        assert (failed.type, failed.response.status, failed.response.id) == ("response.failed", "failed", seen[0].response.id)
        assert failed.response.error.message == raised.value.message


@pytest.mark.parametrize("model", NATIVE)
def test_a_failed_response(chat, model):
    with pytest.raises(openai.InternalServerError) as raised:
        chat.responses.create(model=model, input="Hi [[echo finish=failed]]")
    assert raised.value.code == "server_error"
    *_, last = chat.responses.create(model=model, input="Hi [[echo finish=failed]]", stream=True)
    assert last.type == "response.failed" and last.response.error.message


def test_a_kept_answer_is_not_streamed_again(chat):
    kept = chat.responses.create(model="anthropic/claude-sonnet-4-5", input="Hi")
    for options in [{}, {"starting_after": 2}]:
        with pytest.raises(openai.BadRequestError) as raised:
            list(chat.responses.retrieve(kept.id, stream=True, **options))
        assert (raised.value.param, raised.value.code) == ("stream", "unsupported_parameter")
    assert chat.responses.retrieve(kept.id).output_text == kept.output_text


@pytest.mark.parametrize("model", EACH)
def test_a_provider_that_hangs_is_504(chat, model):
    with pytest.raises(openai.InternalServerError) as raised:
        chat.responses.create(model=model, input="Hi [[echo hang]]")
    assert raised.value.status_code == 504


@pytest.mark.parametrize("model", EACH)
def test_a_client_that_leaves_is_noted(gateway, chat, model):
    def left():
        lines = [line for line in gateway.gateway.text().splitlines() if '"status":499' in line]
        return len(lines)

    before = left()
    stream = chat.responses.create(model=model, input="Hi [[echo chunk_delay=100]]", stream=True)
    next(iter(stream))
    stream.close()
    with pytest.raises(openai.APITimeoutError):
        chat.with_options(timeout=0.3).responses.create(model=model, input="Hi [[echo hang]]")
    for _ in range(100):
        if left() == before + 2:
            return
        time.sleep(0.05)
    raise AssertionError(f"{left() - before} of 2 clients that left were noted")


@pytest.mark.parametrize("model", EACH)
def test_characters_split_over_chunks_survive(chat, model):
    events = chat.responses.create(model=model, input="Hi [[echo unicode]]", stream=True)
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert "\ufffd" not in text and any(ord(character) > 0xFFFF for character in text)
