"""What each API publishes about its requests, answers and events, as JSON Schemas that allow nothing else.

* OpenAI: its OpenAPI document, trimmed by `extract.py` into `openai.json`.
* Anthropic: the types of its own Python package, which are generated from its OpenAPI document.
* Google: the types of its own Python package, which name every field of the wire and require none.
* Amazon: the model of the service in its own Python package.

The packages are those that `clients/python/requirements.txt` pins.
"""

import functools
import json
import pathlib
import re
import typing

import anthropic.types
import botocore.session
import jsonschema_rs
import pydantic
from anthropic.types.shared.error_response import ErrorResponse
from botocore.validate import ParamValidator
from google.genai import types as gemini

HERE = pathlib.Path(__file__).parent
# What is sent and stands in no published schema, as paths; `*` is any item of a list.
BESIDE = {
    # Thinking has no published place in Chat Completions: these are the names that clients and servers agree on.
    ("openai_chat", "request"): ["messages.*.reasoning_content", "messages.*.reasoning_details"],
    ("openai_chat", "answer"): [
        "choices.*.message.reasoning_content",
        "choices.*.message.reasoning_details",
        # Nor have images that a model makes: this is the name that routers and their clients agree on,
        # https://openrouter.ai/docs/features/multimodal/image-generation.
        "choices.*.message.images",
    ],
    ("openai_chat", "event"): [
        "choices.*.delta.reasoning_content",
        "choices.*.delta.reasoning_details",
        "choices.*.delta.images",
        # The schema of a stream lags behind that of an answer, which has them.
        "choices.*.delta.annotations",
        "choices.*.delta.audio",
        "choices.*.delta.tool_calls.*.custom",
        "choices.*.delta.tool_calls.*.type",
    ],
    ("openai_responses", "answer"): [
        # The API itself answers with it.
        "store",
        # Counts that Chat Completions has a name for.
        "usage.input_tokens_details.audio_tokens",
        "usage.output_tokens_details.audio_tokens",
        # The API itself tells what an image is made as; the schema has the data alone.
        "output.*.output_format",
    ],
    ("openai_responses", "event"): [
        "response.store",
        "obfuscation",
        "response.usage.input_tokens_details.audio_tokens",
        "response.usage.output_tokens_details.audio_tokens",
        "response.output.*.output_format",
        "item.output_format",
        # The SDKs raise for an event that has it and for no other.
        "error",
        # As they stand in the item at the end.
        "logprobs.*.bytes",
        "logprobs.*.top_logprobs.*.bytes",
    ],
    # The newest package has left them out; the API takes them for models that have them.
    ("anthropic_messages", "request"): ["temperature", "top_k", "top_p"],
}


class GenerateContentRequest(pydantic.BaseModel):
    """The body of `generateContent`, which the package builds of these types and has no type for."""

    model_config = pydantic.ConfigDict(extra="forbid")
    contents: typing.Annotated[list[gemini.Content], pydantic.Field(min_length=1)]
    tools: list[gemini.Tool] | None = None
    toolConfig: gemini.ToolConfig | None = None
    safetySettings: list[gemini.SafetySetting] | None = None
    systemInstruction: gemini.Content | None = None
    generationConfig: gemini.GenerationConfig | None = None
    cachedContent: str | None = None
    serviceTier: str | None = None
    store: bool | None = None


class GeminiError(pydantic.BaseModel):
    """google.rpc.Status, as the APIs write it: https://cloud.google.com/apis/design/errors#http_mapping."""

    class Status(pydantic.BaseModel):
        code: int
        message: str
        status: str
        details: list[dict] = []

    error: Status


class RequestTooLarge(pydantic.BaseModel):
    """An error that only the documentation names: https://docs.claude.com/en/api/errors."""

    class Detail(pydantic.BaseModel):
        type: typing.Literal["request_too_large"]
        message: str

    type: typing.Literal["error"]
    error: Detail
    request_id: str | None = None


class Ping(pydantic.BaseModel):
    """An event that the package skips before it has a type."""

    type: typing.Literal["ping"]


def closed(schema, in_all_of=False):
    """The same schema, in which an object has the properties that it names and no others."""
    if isinstance(schema, list):
        return [closed(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    found = {}
    for word, inner in schema.items():
        if word in ("properties", "$defs"):
            found[word] = {name: closed(value) for name, value in inner.items()}
        elif word == "allOf":
            found[word] = [closed(branch, in_all_of=True) for branch in inner]
        elif word == "oneOf":
            # The documents write it for any choice, of variants that are not always disjoint.
            found["anyOf"] = closed(inner)
        elif word in ("enum", "const", "required", "default"):
            found[word] = inner
        else:
            found[word] = closed(inner)
    if not in_all_of:
        if "allOf" in found:
            found["unevaluatedProperties"] = False
        elif "properties" in found and found.get("additionalProperties", True) is True:
            found["additionalProperties"] = False
    return found


def parts_of_all_of(definitions):
    """The names of definitions that stand in an `allOf`: alone they say not all."""
    names = set()

    def walk(value):
        if isinstance(value, dict):
            for branch in value.get("allOf", []):
                names.add(branch.get("$ref", "").rpartition("/")[2])
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(definitions)
    return names


@functools.cache
def openai_definitions():
    definitions = json.loads((HERE / "openai.json").read_text())["$defs"]
    parts = parts_of_all_of(definitions)
    return {name: closed(schema, in_all_of=name in parts) for name, schema in definitions.items()}


def openai(name):
    return {"$ref": f"#/$defs/{name}", "$defs": openai_definitions()}


@functools.cache
def typed(kind):
    return closed(pydantic.TypeAdapter(kind).json_schema())


def variants(union):
    """The types of a union by the `type` that they have."""
    found = typing.get_args(typing.get_args(union)[0]) or typing.get_args(union)
    return {typing.get_args(kind.model_fields["type"].annotation)[0]: kind for kind in found}


@functools.cache
def events(dialect):
    """The schema of each event, by its `type`."""
    if dialect == "openai_responses":
        return {
            schema["properties"]["type"]["enum"][0]: openai(name)
            for name, schema in openai_definitions().items()
            if name.endswith("Event") and "sequence_number" in schema.get("properties", {})
        }
    kinds = variants(anthropic.types.RawMessageStreamEvent)
    kinds = {**kinds, "ping": Ping, "error": ErrorResponse | RequestTooLarge}
    return {name: typed(kind) for name, kind in kinds.items()}


def schema(dialect, what, kind):
    match dialect, what:
        case "openai_chat", "request":
            return openai("CreateChatCompletionRequest")
        case "openai_chat", "answer":
            return openai("CreateChatCompletionResponse")
        case "openai_chat", "event":
            return openai("CreateChatCompletionStreamResponse")
        case "openai_responses", "request":
            return openai("CreateResponse")
        case "openai_responses", "answer":
            return openai("Response")
        case "openai_responses", "items":
            return openai("ResponseItemList")
        case "openai_chat" | "openai_responses", "error":
            return openai("ErrorResponse")
        case "anthropic_messages", "request":
            return typed(anthropic.types.MessageCreateParams)
        case "anthropic_messages", "answer":
            return typed(anthropic.types.Message)
        case "anthropic_messages", "error":
            return typed(ErrorResponse | RequestTooLarge)
        case "openai_responses" | "anthropic_messages", "event":
            return events(dialect).get(kind, {"not": {}, "description": f"no event `{kind}` is known"})
        case "gemini", "request":
            return typed(GenerateContentRequest)
        case "gemini", "error":
            return typed(GeminiError)
        case "gemini", _:
            return typed(gemini.GenerateContentResponse)
    raise ValueError((dialect, what))


@functools.cache
def validator(dialect, what, kind):
    return jsonschema_rs.Draft202012Validator(schema(dialect, what, kind))


def without(value, path):
    """The value without what stands at a path."""
    step, *rest = path
    if step == "*":
        return [without(inner, rest) for inner in value] if isinstance(value, list) else value
    if not isinstance(value, dict) or step not in value:
        return value
    if rest:
        return {**value, step: without(value[step], rest)}
    return {name: inner for name, inner in value.items() if name != step}


def faults(dialect, what, value):
    """What is wrong with a `request`, an `answer`, an `event` or an `error` (or `items`), each with its place."""
    if dialect == "bedrock_converse":
        return faults_of_converse(what, value)
    if what == "event" and dialect in ("openai_chat", "gemini") and "error" in value:
        what = "error"
    if (dialect, what) == ("gemini", "request"):
        value = in_camel_case(value)
    for path in BESIDE.get((dialect, what), []):
        value = without(value, path.split("."))
    kind = value.get("type") if what == "event" else None
    found = validator(dialect, what, kind).iter_errors(value)
    return [fault for error in found for fault in innermost(error)]


@functools.cache
def shape_of_converse(what):
    service = botocore.session.Session().get_service_model("bedrock-runtime")
    match what:
        case "request":
            return service.operation_model("Converse").input_shape
        case "answer":
            return service.operation_model("Converse").output_shape
        case "event":
            return service.operation_model("ConverseStream").output_shape.members["stream"]
        case "error":
            return service.shape_for("ValidationException")


def faults_of_converse(what, value, model="amazon.nova-lite-v1:0"):
    """The same for Converse. The address of a request says its model; the name of an event is its one key."""
    shape = shape_of_converse(what)
    params = {**value, "modelId": model} if what == "request" else value
    report = ParamValidator().validate(params, shape)
    return [report.generate_report()] if report.has_errors() else wrong_words(shape, params, "")


def wrong_words(shape, value, where):
    """What the parameter validator does not look at: words of a closed set, patterns, the one member of a union."""
    if shape.type_name == "structure":
        if getattr(shape, "is_document_type", False):
            return []
        if getattr(shape, "is_tagged_union", False) and len(value) != 1:
            return [f"{where}: not one of {list(value)}"]
        found = [wrong_words(shape.members[key], inner, f"{where}/{key}") for key, inner in value.items()]
    elif shape.type_name == "list":
        found = [wrong_words(shape.member, inner, f"{where}/{n}") for n, inner in enumerate(value)]
    elif shape.type_name == "map":
        found = [wrong_words(shape.key, key, where) for key in value]
        found += [wrong_words(shape.value, inner, f"{where}/{key}") for key, inner in value.items()]
    else:
        enum, pattern, most = (shape.metadata.get(word) for word in ("enum", "pattern", "max"))
        if enum and value not in enum:
            return [f"{where}: {value!r} is not one of {enum}"]
        if pattern and shape.type_name == "string" and not re.fullmatch(pattern, value):
            return [f"{where}: {value!r} does not match {pattern}"]
        if most and shape.type_name == "string" and len(value) > most:
            return [f"{where}: longer than {most}"]
        if most and shape.type_name == "float" and value > most:
            return [f"{where}: {value} is more than {most}"]
        return []
    return [fault for faults in found for fault in faults]


# What stands for itself in a request of Gemini.
GEMINI_DATA = {"args", "response", "parametersJsonSchema", "responseJsonSchema", "partMetadata", "default", "example"}


def in_camel_case(value, names_are_ours=False):
    """Google's API takes the names of fields in snake_case too, and its own SDK mixes both."""
    if isinstance(value, list):
        return [in_camel_case(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for name, inner in value.items():
        if not names_are_ours:
            name = re.sub("_([a-z])", lambda letter: letter[1].upper(), name)
        found[name] = inner if name in GEMINI_DATA else in_camel_case(inner, name == "properties")
    return found


def innermost(error):
    """Of a choice of schemas, what is wrong with the one that fits best: the one whose faults lie deepest."""
    place = "/".join(map(str, error.instance_path))
    context = getattr(error.kind, "context", None)
    if not context:
        return [f"{place}: {error.message[:300]}"]
    best = max(context, key=lambda branch: (max(len(e.instance_path) for e in branch), -len(branch)))
    return [fault for inner in best for fault in innermost(inner)]
