"""The guide says which SDKs are tested against what. `UPDATE=1` writes its table."""

import json
import os
import re

from conftest import ROOT

GUIDE = ROOT / "docs/guides/clients.md"
CASES = "tool loop, thinking with tools, structured output, image, long conversation, errors, broken streams"
# The package, what it is called, where its version stands, what of it is used.
SDKS = [
    ("openai", "openai-python", "python", "Chat Completions, Responses"),
    ("anthropic", "anthropic-python", "python", "Messages"),
    ("google-genai", "google-genai", "python", "Gemini"),
    ("openai", "openai-node", "node", "Chat Completions, Responses"),
    ("@anthropic-ai/sdk", "anthropic-typescript", "node", "Messages"),
    ("@anthropic-ai/claude-code", "Claude Code", "agents", "Messages"),
    ("@openai/codex", "Codex", "agents", "Responses"),
]


def version(package, place):
    if place == "python":
        pinned = (ROOT / "clients/python/requirements.txt").read_text()
        return re.search(rf"^{package}==(\S+)$", pinned, re.MULTILINE)[1]
    pinned = json.loads((ROOT / f"clients/{place}/package.json").read_text())
    return {**pinned.get("dependencies", {}), **pinned.get("devDependencies", {})}[package]


def table():
    rows = ["| SDK | version | API | cases |", "| --- | --- | --- | --- |"]
    for package, name, place, api in SDKS:
        cases = "a task that calls a tool, headless" if place == "agents" else CASES
        rows.append(f"| {name} | {version(package, place)} | {api} | {cases} |")
    return "\n".join(rows) + "\n"


def test_the_guide_says_whose_model_of_bedrock():
    assert f"botocore {version('botocore', 'python')}," in GUIDE.read_text()


def test_the_guide_has_the_versions():
    text = GUIDE.read_text()
    if os.environ.get("UPDATE") == "1":
        start, end = text.index("| SDK | version |"), text.index("\n\nEach SDK case")
        GUIDE.write_text(text[:start] + table().rstrip("\n") + text[end:])
    assert table() in GUIDE.read_text(), "docs/guides/clients.md is stale: run this test with UPDATE=1"
