"""The SDKs behind one face, so that a conversation is written once and held through each of them, unmodified."""

import base64
import collections
import json

import anthropic
import openai
from google import genai
from google.genai import errors as genai_errors
from google.genai import types

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
NAME, MEANING = "get_weather", "Weather of a city"

Turn = collections.namedtuple("Turn", "text calls thinking")
Call = collections.namedtuple("Call", "id name arguments")


class Sdk:
    """A conversation through one SDK: `user`, `turn`, `results` add to it; `turn` asks."""

    def __init__(self, gateway):
        self.client = self.connect(gateway.url)

    def new(self):
        self.history = []
        return self


class OpenAiChat(Sdk):
    name = "openai chat"
    error = openai.APIError
    errors = {
        400: openai.BadRequestError,
        401: openai.AuthenticationError,
        403: openai.PermissionDeniedError,
        404: openai.NotFoundError,
        422: openai.UnprocessableEntityError,
        429: openai.RateLimitError,
        500: openai.InternalServerError,
    }

    def connect(self, url):
        return openai.OpenAI(base_url=f"{url}/v1", api_key="client-key", max_retries=0, timeout=20)

    def user(self, text, image=False):
        url = {"url": f"data:image/png;base64,{PIXEL}"}
        parts = [{"type": "text", "text": text}, {"type": "image_url", "image_url": url}]
        self.history.append({"role": "user", "content": parts if image else text})

    def turn(self, model, stream, tools=False, thinking=False, shape=False):
        options = {"model": model, "messages": self.history}
        if tools:
            function = {"name": NAME, "description": MEANING, "parameters": SCHEMA}
            options["tools"] = [{"type": "function", "function": function}]
        if thinking:
            options["reasoning_effort"] = "low"
        if shape:
            shape = {"name": "forecast", "schema": SCHEMA, "strict": True}
            options["response_format"] = {"type": "json_schema", "json_schema": shape}
        if stream:
            with self.client.chat.completions.stream(**options) as events:
                message = events.get_final_completion().choices[0].message
        else:
            message = self.client.chat.completions.create(**options).choices[0].message
        said = message.model_dump(exclude_none=True, exclude={"parsed", "annotations"})
        for call in said.get("tool_calls", []):
            # The SDK has added them.
            call["function"].pop("parsed_arguments", None)
            call.pop("index", None)
        self.history.append(said)
        calls = [Call(c.id, c.function.name, json.loads(c.function.arguments)) for c in message.tool_calls or []]
        return Turn(message.content or "", calls, said.get("reasoning_content", ""))

    def results(self, calls, texts):
        for call, text in zip(calls, texts):
            self.history.append({"role": "tool", "tool_call_id": call.id, "content": text})


class OpenAiResponses(OpenAiChat):
    name = "openai responses"
    # The SDK's helper raises this where a stream has no last event.
    error = (openai.APIError, RuntimeError)

    def user(self, text, image=False):
        parts = [{"type": "input_text", "text": text}]
        if image:
            url = f"data:image/png;base64,{PIXEL}"
            parts.append({"type": "input_image", "image_url": url, "detail": "auto"})
        self.history.append({"type": "message", "role": "user", "content": parts})

    def turn(self, model, stream, tools=False, thinking=False, shape=False):
        options = {"model": model, "input": self.history, "store": False}
        if tools:
            function = {"name": NAME, "description": MEANING, "parameters": SCHEMA, "strict": True}
            options["tools"] = [{"type": "function", **function}]
        if thinking:
            options["reasoning"] = {"effort": "low", "summary": "auto"}
            options["include"] = ["reasoning.encrypted_content"]
        if shape:
            options["text"] = {"format": {"type": "json_schema", "name": "forecast", "schema": SCHEMA, "strict": True}}
        if stream:
            with self.client.responses.stream(**options) as events:
                answer = events.get_final_response()
        else:
            answer = self.client.responses.create(**options)
        calls, thoughts = [], []
        for item in answer.output:
            said = item.model_dump(exclude_none=True, exclude={"parsed_arguments": True})
            for part in said.get("content", []):
                part.pop("parsed", None)
            self.history.append(said)
            if item.type == "function_call":
                calls.append(Call(item.call_id, item.name, json.loads(item.arguments)))
            if item.type == "reasoning":
                thoughts += [part.text for part in item.summary]
        return Turn(answer.output_text, calls, "".join(thoughts))

    def results(self, calls, texts):
        for call, text in zip(calls, texts):
            self.history.append({"type": "function_call_output", "call_id": call.id, "output": text})


class Anthropic(Sdk):
    name = "anthropic"
    error = anthropic.APIError
    errors = {
        400: anthropic.BadRequestError,
        401: anthropic.AuthenticationError,
        403: anthropic.PermissionDeniedError,
        404: anthropic.NotFoundError,
        429: anthropic.RateLimitError,
        500: anthropic.InternalServerError,
        529: anthropic.OverloadedError,
    }

    def connect(self, url):
        return anthropic.Anthropic(base_url=url, api_key="client-key", max_retries=0, timeout=20)

    def user(self, text, image=False):
        source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
        parts = [{"type": "image", "source": source}, {"type": "text", "text": text}]
        self.history.append({"role": "user", "content": parts if image else text})

    def turn(self, model, stream, tools=False, thinking=False, shape=False):
        options = {"model": model, "messages": self.history, "max_tokens": 4096}
        if tools:
            options["tools"] = [{"name": NAME, "description": MEANING, "input_schema": SCHEMA}]
        if thinking:
            options["thinking"] = {"type": "enabled", "budget_tokens": 1024}
        if shape:
            options["output_config"] = {"format": {"type": "json_schema", "schema": SCHEMA}}
        if stream:
            with self.client.messages.stream(**options) as events:
                answer = events.get_final_message()
        else:
            answer = self.client.messages.create(**options)
        said = [block.model_dump(exclude_none=True, exclude={"parsed_output"}) for block in answer.content]
        self.history.append({"role": "assistant", "content": said})
        of = lambda kind: [block for block in answer.content if block.type == kind]  # noqa: E731
        calls = [Call(block.id, block.name, block.input) for block in of("tool_use")]
        texts = "".join(block.text for block in of("text"))
        return Turn(texts, calls, "".join(block.thinking for block in of("thinking")))

    def results(self, calls, texts):
        blocks = [{"type": "tool_result", "tool_use_id": call.id, "content": text} for call, text in zip(calls, texts)]
        self.history.append({"role": "user", "content": blocks})


class Genai(Sdk):
    name = "google-genai"
    error = genai_errors.APIError
    errors = {
        400: genai_errors.ClientError,
        401: genai_errors.ClientError,
        403: genai_errors.ClientError,
        404: genai_errors.ClientError,
        429: genai_errors.ClientError,
        500: genai_errors.ServerError,
        503: genai_errors.ServerError,
    }

    def connect(self, url):
        # The client stays referenced: it closes its connections when it is collected.
        return genai.Client(api_key="client-key", http_options=types.HttpOptions(base_url=url, timeout=20_000))

    def user(self, text, image=False):
        parts = [types.Part(text=text)]
        if image:
            parts.append(types.Part.from_bytes(data=base64.b64decode(PIXEL), mime_type="image/png"))
        self.history.append(types.Content(role="user", parts=parts))

    def turn(self, model, stream, tools=False, thinking=False, shape=False):
        options = {}
        if tools:
            function = types.FunctionDeclaration(name=NAME, description=MEANING, parameters_json_schema=SCHEMA)
            options["tools"] = [types.Tool(function_declarations=[function])]
            options["automatic_function_calling"] = types.AutomaticFunctionCallingConfig(disable=True)
        if thinking:
            options["thinking_config"] = types.ThinkingConfig(include_thoughts=True, thinking_level="LOW")
        if shape:
            options["response_mime_type"] = "application/json"
            options["response_json_schema"] = SCHEMA
        config = types.GenerateContentConfig(**options)
        asked = {"model": model, "contents": self.history, "config": config}
        if stream:
            answers = list(self.client.models.generate_content_stream(**asked))
        else:
            answers = [self.client.models.generate_content(**asked)]
        contents = [answer.candidates[0].content for answer in answers]
        parts = [part for content in contents if content for part in content.parts or []]
        self.history.append(types.Content(role="model", parts=parts))
        found = [part.function_call for part in parts if part.function_call]
        said = lambda thought: "".join(p.text or "" for p in parts if bool(p.thought) == thought)  # noqa: E731
        return Turn(said(False), [Call(call.id, call.name, call.args) for call in found], said(True))

    def results(self, calls, texts):
        results = [
            types.FunctionResponse(id=call.id, name=call.name, response={"output": text})
            for call, text in zip(calls, texts)
        ]
        parts = [types.Part(function_response=result) for result in results]
        self.history.append(types.Content(role="user", parts=parts))


ALL = [OpenAiChat, OpenAiResponses, Anthropic, Genai]
