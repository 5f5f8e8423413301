"""google-genai, unmodified, to every upstream dialect, by name, by alias and by preference. What all SDKs have in common
stands in `test_matrix.py`."""

import json

import pytest
from google import genai
from google.genai import errors, types
from pydantic import BaseModel

from conftest import EACH, EVERY_WAY

WEATHER = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(
            name="get_weather",
            description="Weather of a city",
            parameters_json_schema={
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        )
    ]
)


@pytest.fixture(scope="session")
def models(gateway):
    options = types.HttpOptions(base_url=gateway.url, timeout=20_000)
    # The client stays referenced: it closes its connections when it is collected.
    client = genai.Client(api_key="client-key", http_options=options)
    yield client.models
    client.close()


def test_the_list_of_models(models):
    names = [model.name for model in models.list()]
    assert "models/creative-model" in names and len(names) == len(set(names)) > 6
    assert [model.name for model in models.list(config={"page_size": 3})] == names
    assert models.get(model="openai/gpt-5.2").display_name == "openai/gpt-5.2"
    with pytest.raises(errors.ClientError) as raised:
        models.get(model="nobody")
    assert (raised.value.code, raised.value.status) == (404, "NOT_FOUND")


@pytest.mark.parametrize("model", EVERY_WAY)
def test_plain(models, model):
    answer = models.generate_content(model=model, contents="Hello there")
    assert "Hello there" in answer.text
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    usage = answer.usage_metadata
    assert usage.prompt_token_count > 0 and usage.candidates_token_count > 0
    assert usage.total_token_count == usage.prompt_token_count + usage.candidates_token_count


@pytest.mark.parametrize("model", EVERY_WAY)
def test_stream(models, model):
    chunks = list(models.generate_content_stream(model=model, contents="Hello there"))
    assert len(chunks) > 1 and "Hello there" in "".join(chunk.text or "" for chunk in chunks)
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP
    assert chunks[-1].usage_metadata.total_token_count > 0


def test_by_preference(models):
    answer = models.generate_content(model="auto", contents="Write a creative story about space exploration")
    headers = answer.sdk_http_response.headers
    assert headers["x-waypost-route"] == "creative writing"
    assert headers["x-waypost-model"] == "anthropic/claude-sonnet-4-5"


@pytest.mark.parametrize("model", EACH)
def test_many_turns_a_system_prompt_and_an_image(models, model):
    pixel = bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
        "1f15c4890000000d49444154789c6364f8cf500f00038601805a347d6a0000000049454e44ae426082"
    )
    answer = models.generate_content(
        model=model,
        contents=[
            types.UserContent("Hi"),
            types.ModelContent("Hello"),
            types.UserContent([types.Part.from_bytes(data=pixel, mime_type="image/png"), types.Part(text="What is it?")]),
        ],
        config=types.GenerateContentConfig(system_instruction="Be brief", max_output_tokens=50, temperature=0.5),
    )
    assert "What is it?" in answer.text and "Be brief" in answer.text and "1 image" in answer.text


@pytest.mark.parametrize("model", EACH)
@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_loop(models, model, stream):
    config = types.GenerateContentConfig(
        tools=[WEATHER], automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True)
    )
    contents = [types.UserContent("Weather in two cities, please [[echo tools=2]]")]
    if stream:
        chunks = models.generate_content_stream(model=model, contents=contents, config=config)
        parts = [part for chunk in chunks for part in (chunk.candidates[0].content.parts or [])]
    else:
        parts = models.generate_content(model=model, contents=contents, config=config).candidates[0].content.parts
    calls = [part.function_call for part in parts if part.function_call]
    assert [call.name for call in calls] == ["get_weather"] * 2
    assert all("city" in call.args for call in calls)
    contents.append(types.Content(role="model", parts=parts))
    results = [
        types.Part(function_response=types.FunctionResponse(id=call.id, name=call.name, response={"output": f"sunny {n}"}))
        for n, call in enumerate(calls)
    ]
    contents.append(types.Content(role="user", parts=results))
    answer = models.generate_content(model=model, contents=contents, config=config)
    assert "sunny 0" in answer.text and "sunny 1" in answer.text


@pytest.mark.parametrize("model", EACH)
def test_a_tool_that_has_to_be_called(models, model):
    config = types.GenerateContentConfig(
        tools=[WEATHER],
        tool_config=types.ToolConfig(function_calling_config=types.FunctionCallingConfig(mode="ANY")),
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )
    answer = models.generate_content(model=model, contents="Hi", config=config)
    assert answer.function_calls[0].name == "get_weather"


class City(BaseModel):
    name: str
    people: int


@pytest.mark.parametrize("model", EACH)
def test_structured_output(models, model):
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=City)
    answer = models.generate_content(model=model, contents="A city", config=config)
    assert isinstance(answer.parsed, City)
    assert set(json.loads(answer.text)) == {"name", "people"}


@pytest.mark.parametrize(
    ("status", "kind", "word"),
    [
        (401, errors.ClientError, "UNAUTHENTICATED"),
        (404, errors.ClientError, "NOT_FOUND"),
        (429, errors.ClientError, "RESOURCE_EXHAUSTED"),
        (500, errors.ServerError, "INTERNAL"),
    ],
)
@pytest.mark.parametrize("model", EACH)
def test_errors_are_its_own(models, model, status, kind, word):
    with pytest.raises(kind) as raised:
        models.generate_content(model=model, contents=f"Hi [[echo status={status}]]")
    assert (raised.value.code, raised.value.status) == (status, word)


@pytest.mark.parametrize("model", EACH)
def test_a_stream_that_is_cut_raises(models, model):
    with pytest.raises(errors.APIError):
        list(models.generate_content_stream(model=model, contents="Hello there [[echo cut_after=3]]"))


def test_an_unknown_model(models):
    with pytest.raises(errors.ClientError, match="not configured here"):
        models.generate_content(model="nobody", contents="Hi")
