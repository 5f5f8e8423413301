"""Cuts what describes Chat Completions and Responses out of OpenAI's OpenAPI document, as one JSON Schema.

    git clone --depth 1 https://github.com/openai/openai-openapi
    python clients/schemas/extract.py openai-openapi/openapi.json COMMIT > clients/schemas/openai.json

Only what constrains a request or an answer is kept: no prose, no examples.
"""

import json
import sys

WANTED = [
    "CreateChatCompletionRequest",
    "CreateChatCompletionResponse",
    "CreateChatCompletionStreamResponse",
    "CreateResponse",
    "Response",
    "ResponseStreamEvent",
    "ResponseItemList",
    "ErrorResponse",
]
PROSE = {"description", "example", "examples", "title", "default", "deprecated", "discriminator"}
PREFIX = "#/components/schemas/"

LICENCE = (
    "An extract of https://github.com/openai/openai-openapi, openapi.json of commit {commit}, made by extract.py. "
    "The MIT License. Copyright (c) OpenAI (https://openai.com). Permission is hereby granted, free of charge, to any "
    "person obtaining a copy of this software and associated documentation files (the \"Software\"), to deal in the "
    "Software without restriction, including without limitation the rights to use, copy, modify, merge, publish, "
    "distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is "
    "furnished to do so, subject to the following conditions: The above copyright notice and this permission notice "
    "shall be included in all copies or substantial portions of the Software. THE SOFTWARE IS PROVIDED \"AS IS\", "
    "WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, "
    "FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE "
    "FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT "
    "OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE."
)


def references(value):
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"].removeprefix(PREFIX)
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def trimmed(value, root, is_schema=True):
    """Without prose and vendor words; the names of properties are no words of the schema."""
    if isinstance(value, list):
        return [trimmed(inner, root) for inner in value]
    if not isinstance(value, dict):
        return value.replace(PREFIX, "#/$defs/") if isinstance(value, str) else value
    kept = {}
    for word, inner in value.items():
        if is_schema and (word in PROSE or word == "$recursiveAnchor" or word.startswith("x-")):
            continue
        if word == "$recursiveRef":
            return {"$ref": f"#/$defs/{root}"}
        kept[word] = trimmed(inner, root, is_schema=not (is_schema and word == "properties"))
    # A word of OpenAPI's, in JSON Schema's.
    if is_schema and kept.pop("nullable", False):
        return {"anyOf": [kept, {"type": "null"}]}
    return kept


def main():
    path, commit = sys.argv[1:]
    schemas = json.load(open(path))["components"]["schemas"]
    wanted, found = list(WANTED), {}
    while wanted:
        name = wanted.pop()
        if name not in found:
            found[name] = trimmed(schemas[name], name)
            wanted += references(schemas[name])
    definitions = ",\n".join(f"{json.dumps(name)}: {json.dumps(found[name])}" for name in sorted(found))
    comment = json.dumps(LICENCE.format(commit=commit))
    print(f'{{\n"$comment": {comment},\n"$defs": {{\n{definitions}\n}}\n}}')


main()
