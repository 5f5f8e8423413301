"""What the documentation's blocks find where they are run: a gateway, a provider, files and programs of the pages' names."""

import json
import os
import pathlib
import re
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("WAYPOST_BIN", str(ROOT / "target/debug/waypost"))
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("crates/**/*.md"), *ROOT.glob("training/*.md")])
KEYS = {"OPENAI_API_KEY": "k1", "ANTHROPIC_API_KEY": "k2"}
# Ports as the pages have them; the test's own take their place.
PORTS = re.compile(r"127\.0\.0\.1:(120\d\d)")

CONFIG = """
listeners:
  - {{name: egress_traffic, address: 127.0.0.1, port: {port}}}
  - {{name: inside, address: 'unix:{folder}/waypost.sock'}}
admin: {{port: {admin}}}
log: {{path: {folder}/records.db, content: full}}
model_providers:
  - {{model: openai/gpt-5.2, access_key: $OPENAI_API_KEY, base_url: 'http://{echo}', default: true}}
  - {{model: anthropic/claude-sonnet-4-5, access_key: $ANTHROPIC_API_KEY, base_url: 'http://{echo}'}}
model_aliases: {{fast-model: {{target: gpt-5.2}}}}
routing_preferences:
  - name: code understanding
    description: understand and explain existing code snippets, functions, or libraries
    models: [anthropic/claude-sonnet-4-5]
    tests: ["Explain this function"]
  - name: creative writing
    description: creative content generation, storytelling, and writing assistance
    models: [gpt-5.2]
  - name: travel
    description: flights, hotels, and plans for a journey
    models: [gpt-5.2]
"""


def blocks(*languages):
    """Every fenced block of the languages, as (page, text), with `page:line` as its name."""
    found = []
    for page in PAGES:
        text = page.read_text()
        for match in re.finditer(rf"^```({'|'.join(languages)})\n(.*?)^```", text, re.M | re.S):
            name = str(page.relative_to(ROOT))
            line = text[: match.start()].count("\n") + 1
            found.append(pytest.param(name, match.group(2), id=f"{name}:{line}"))
    assert found, f"no block of {languages} at all"
    return found


def free_port():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


class Running:
    """A gateway with the provider behind it, and a request that is recorded."""

    def __init__(self, folder):
        self.folder = folder
        self.ports = {name: free_port() for name in ["12000", "12010", "12080"]}
        self.address = f"http://127.0.0.1:{self.ports['12000']}"
        echo = f"127.0.0.1:{self.ports['12080']}"
        (folder / "waypost.yaml").write_text(self.config(self.ports["12000"], self.ports["12010"]))
        self.output = open(folder / "output.txt", "w")
        environment = {"PATH": os.environ["PATH"], **KEYS}
        self.processes = [
            subprocess.Popen([BINARY, *arguments], env=environment, stdout=self.output, stderr=self.output)
            for arguments in [["echo", "--listen", echo], ["up", str(folder / "waypost.yaml")]]
        ]
        self.wait_for(lambda: urllib.request.urlopen(f"{self.address}/readyz"))
        self.wait_for(lambda: socket.create_connection(("127.0.0.1", self.ports["12080"])).close())
        self.id = self.ask("Explain this function")
        failed = self.ask("Explain this function [[echo status=400]]")
        # They are there half a second later.
        for one in [self.id, failed]:
            self.wait_for(lambda: subprocess.run(
                [BINARY, "trace", one, "--records", folder / "records.db"], check=True, capture_output=True))

    def ask(self, text):
        """The id of a request."""
        body = json.dumps({"messages": [{"role": "user", "content": text}]}).encode()
        request = urllib.request.Request(
            f"{self.address}/v1/chat/completions", body, {"content-type": "application/json", "authorization": "Bearer own"})
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.headers["x-waypost-request-id"]
        except urllib.error.HTTPError as error:
            return error.headers["x-waypost-request-id"]

    def config(self, port, admin, folder=None):
        """A configuration at these ports, with the same records and the same provider."""
        text = CONFIG.format(port=port, admin=admin, folder=self.folder, echo=f"127.0.0.1:{self.ports['12080']}")
        return text.replace(f"unix:{self.folder}/", f"unix:{folder}/") if folder else text

    def wait_for(self, what):
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                return what()
            except (OSError, subprocess.CalledProcessError):
                time.sleep(0.05)
        pytest.fail((self.folder / "output.txt").read_text())

    def placed(self, text):
        """A page's text, with the ports, the socket and the request that are really there."""
        text = PORTS.sub(lambda found: f"127.0.0.1:{self.ports.get(found.group(1), found.group(1))}", text)
        text = text.replace("/run/waypost/waypost.sock", f"{self.folder}/waypost.sock")
        return re.sub(r"\b01(9cad90|a2293b|a22954)(-[0-9a-f-]+)?\b", self.id, text)

    def stop(self):
        for process in self.processes:
            process.kill()


@pytest.fixture(scope="session")
def running(tmp_path_factory):
    running = Running(tmp_path_factory.mktemp("running"))
    yield running
    running.stop()
