"""The real binary in front of its echo provider, and whoever it tells: a collector of OpenTelemetry's own messages."""

import json
import os
import pathlib
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("WAYPOST_BIN", str(ROOT / "target/debug/waypost"))
KEYS = {"OPENAI_API_KEY": "sk-test-openai-0123456789", "ANTHROPIC_API_KEY": "sk-ant-test-9876543210"}

CONFIG = """
listeners:
  egress_traffic: {{address: 127.0.0.1, port: {port}, timeout: 5s}}
admin: {{port: {admin}}}
reliability: {{attempts: 2}}
model_providers:
  - model: openai/gpt-5.2
    access_key: $OPENAI_API_KEY
    base_url: {echo}
    default: true
  - model: openai/gpt-5
    access_key: $OPENAI_API_KEY
    base_url: {echo}
  - model: anthropic/claude-sonnet-4-5
    access_key: $ANTHROPIC_API_KEY
    base_url: {echo}
routing_preferences:
  - name: creative writing
    description: creative content generation, storytelling, and writing assistance
    models: [anthropic/claude-sonnet-4-5]
  - name: code understanding
    description: understand and explain existing code snippets, functions, or libraries
    models: [openai/gpt-5]
model_aliases:
  fast-model: {{target: gpt-5.2}}
  pool: {{targets: [openai/gpt-5, anthropic/claude-sonnet-4-5]}}
log: {{path: "{folder}/records.db", content: full}}
"""


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait_for(address):
    for _ in range(200):
        try:
            with socket.create_connection(address, timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"nobody listens at {address}")


class Gateway:
    def __init__(self, folder, echo, extra="", environment=None):
        self.port, self.admin = free_port(), free_port()
        self.file = folder / "waypost.yaml"
        self.folder, self.echo = folder, echo
        self.write(extra)
        self.errors = folder / "stderr.log"
        self.process = subprocess.Popen(
            [BINARY, "up", str(self.file), "--grace", "5s"],
            stdout=subprocess.PIPE,
            stderr=self.errors.open("w"),
            text=True,
            env={"PATH": os.environ["PATH"], "HOME": str(folder), **KEYS, **(environment or {})},
        )
        for port in (self.port, self.admin):
            wait_for(("127.0.0.1", port))

    def write(self, extra):
        text = CONFIG.format(port=self.port, admin=self.admin, echo=self.echo, folder=self.folder)
        self.file.write_text(text + extra)

    def post(self, path, body, headers=None):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            json.dumps(body).encode(),
            {"content-type": "application/json", "authorization": "Bearer client-secret", **(headers or {})},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, response.read().decode(), response.headers
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(), error.headers

    def chat(self, model, text, headers=None, **more):
        body = {"model": model, "messages": [{"role": "user", "content": text}], **more}
        return self.post("/v1/chat/completions", body, headers)

    def metrics(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/metrics", timeout=5) as response:
            return response.read().decode()

    def stop(self):
        self.process.terminate()
        lines, _ = self.process.communicate(timeout=30)
        assert self.process.returncode == 0
        return [json.loads(line) for line in lines.splitlines()]


@pytest.fixture(scope="session")
def echo():
    port = free_port()
    process = subprocess.Popen([BINARY, "echo", "--listen", f"127.0.0.1:{port}"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    wait_for(("127.0.0.1", port))
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait()


@pytest.fixture
def start(tmp_path, echo):
    running = []

    def start(extra="", environment=None):
        running.append(Gateway(tmp_path, echo, extra, environment))
        return running[-1]

    yield start
    for gateway in running:
        if gateway.process.poll() is None:
            gateway.process.kill()
            gateway.process.wait()
