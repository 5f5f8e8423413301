"""The real binary, in front of its echo provider, for the real SDKs. A witness on each side of it holds what is said
against the official schemas."""

import json
import os
import pathlib
import re
import socket
import subprocess
import time
import urllib.request

import anthropic
import openai
import pytest

import witness

# A model of each kind of provider: of one for Chat Completions, Messages, Responses, both of OpenAI's, Gemini or Converse.
EACH = [
    "plain/llama-4",
    "anthropic/claude-sonnet-4-5",
    "native/gpt-5.1",
    "openai/gpt-5.2",
    "native/gemini-3-pro",
    "amazon_bedrock/anthropic.claude-sonnet-4-5-20250929-v1:0",
]
# By name, by alias, by preference; and a model that gives its calls no ids.
EVERY_WAY = [*EACH, "native/gemini-2.5-flash", "fast-model", "creative-model", "auto"]
ROOT = pathlib.Path(__file__).resolve().parents[2]
KEYS = {"OPENAI_API_KEY": "sk-test-openai-0123456789", "ANTHROPIC_API_KEY": "sk-ant-test-9876543210", "GEMINI_API_KEY": "AIza-test-0123456789"}

CONFIG = """
listeners:
  egress_traffic: {{address: 127.0.0.1, port: {port}, message_format: openai, timeout: 5s}}
reliability: {{attempts: 1}}
llm_providers:
  - model: openai/gpt-5.2
    access_key: $OPENAI_API_KEY
    base_url: {echo}
    stream_usage: true
    default: true
  - model: openai/gpt-5
    access_key: $OPENAI_API_KEY
    base_url: {echo}
    stream_usage: true
    routing_preferences:
      - name: code understanding
        description: understand and explain existing code snippets, functions, or libraries
      - name: complex reasoning
        description: deep analysis, mathematical problem solving, and logical reasoning
  - model: anthropic/claude-sonnet-4-5
    access_key: $ANTHROPIC_API_KEY
    base_url: {echo}
    routing_preferences:
      - name: creative writing
        description: creative content generation, storytelling, and writing assistance
      - name: code generation
        description: generating new code snippets, functions, or boilerplate based on user prompts
  - model: plain/llama-4
    access_key: $OPENAI_API_KEY
    base_url: {echo}
    provider_interface: openai_chat
  - model: native/gpt-5.1
    access_key: $OPENAI_API_KEY
    base_url: {echo}
    provider_interface: openai_responses
  - model: native/gemini-3-pro
    access_key: $GEMINI_API_KEY
    base_url: {echo}
    provider_interface: gemini_native
  - model: native/gemini-2.5-flash
    access_key: $GEMINI_API_KEY
    base_url: {echo}
    provider_interface: gemini_native
  - model: amazon_bedrock/anthropic.claude-sonnet-4-5-20250929-v1:0
    access_key: $OPENAI_API_KEY
    region: eu-central-1
    base_url: {echo}
model_aliases:
  fast-model: {{target: gpt-5.2}}
  creative-model: {{target: claude-sonnet-4-5}}
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def binary() -> str:
    path = os.environ.get("WAYPOST_BIN", str(ROOT / "target/debug/waypost"))
    assert os.path.exists(path), f"{path} is not built; run ./test"
    return path


class Process:
    """A process of the binary; all that it prints is kept."""

    def __init__(self, folder: pathlib.Path, name: str, *arguments: str):
        self.output = folder / f"{name}.out"
        self.process = subprocess.Popen(
            [binary(), *arguments],
            stdout=self.output.open("wb"),
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={"PATH": os.environ["PATH"], **KEYS},
        )

    def text(self) -> str:
        return self.output.read_text()

    def wait_for(self, url: str) -> None:
        for _ in range(200):
            try:
                urllib.request.urlopen(url, timeout=1).read()
                return
            except OSError:
                assert self.process.poll() is None, f"ended early:\n{self.text()}"
                time.sleep(0.05)
        raise AssertionError(f"not ready:\n{self.text()}")

    def stop(self) -> None:
        self.process.terminate()
        assert self.process.wait(10) == 0, self.text()


class Gateway:
    def __init__(self, folder: pathlib.Path):
        echo_port, port = free_port(), free_port()
        self.upstream = witness.Witness("upstream", free_port(), echo_port).start()
        self.downstream = witness.Witness("downstream", free_port(), port).start()
        self.echo_url = f"http://127.0.0.1:{echo_port}"
        self.url = f"http://127.0.0.1:{self.downstream.port}"
        self.echo = Process(folder, "echo", "echo", "--listen", f"127.0.0.1:{echo_port}")
        self.echo.wait_for(f"{self.echo_url}/_echo/health")
        (folder / "waypost.yaml").write_text(CONFIG.format(port=port, echo=f"http://127.0.0.1:{self.upstream.port}"))
        self.gateway = Process(folder, "gateway", "up", "waypost.yaml", "--log-format", "json")
        self.gateway.wait_for(f"{self.url}/readyz")

    def stop(self) -> None:
        self.gateway.stop()
        self.echo.process.kill()


@pytest.fixture(scope="session")
def gateway(tmp_path_factory):
    running = Gateway(tmp_path_factory.mktemp("gateway"))
    yield running
    running.stop()
    printed = running.gateway.text()
    for secret in KEYS.values():
        assert secret not in printed, "a key was printed"


@pytest.fixture(autouse=True)
def official_schemas(request):
    """What went either way in a test is what the schemas allow."""
    yield
    if "gateway" in request.fixturenames:
        running = request.getfixturevalue("gateway")
        verdicts = running.upstream.take() + running.downstream.take()
        assert not verdicts, "\n".join(verdicts[:5])


@pytest.fixture(scope="session")
def chat(gateway):
    return openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="client-key", max_retries=0, timeout=20)


@pytest.fixture(scope="session")
def reached(gateway):
    """The body of the last request that a provider saw."""
    return lambda: last_request(gateway)["body"]


@pytest.fixture(scope="session")
def reached_dialect(gateway):
    """The dialect of the last request that a provider saw."""
    return lambda: witness.dialect_of(last_request(gateway)["path"])


def last_request(gateway) -> dict:
    with urllib.request.urlopen(f"{gateway.echo_url}/_echo/requests", timeout=5) as page:
        return json.load(page)[-1]


@pytest.fixture(scope="session")
def messages(gateway):
    return anthropic.Anthropic(base_url=gateway.url, api_key="client-key", max_retries=0, timeout=20)


def decision(raw) -> dict:
    """The parts of `x-waypost-decision`."""
    return dict(re.findall(r"(\w+)=([^;]+)", raw.headers["x-waypost-decision"]))
