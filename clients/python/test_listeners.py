"""The SDKs over TLS, with an authority of one's own, and over a socket in the file system."""

import ssl
import stat
import subprocess

import anthropic
import conftest
import httpx2 as httpx
import openai
import pytest

CONFIG = """
listeners:
  - {{name: secure, address: 127.0.0.1, port: {port}, tls: {{certificate: tls.crt, key: tls.key}}}}
  - {{name: inside, address: "unix:{socket}"}}
model_providers:
  - {{model: openai/gpt-5.2, access_key: $OPENAI_API_KEY, base_url: {echo}, default: true}}
  - {{model: anthropic/claude-sonnet-4-5, access_key: $ANTHROPIC_API_KEY, base_url: {echo}}}
"""


class Listeners:
    def __init__(self, folder, echo):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
            + ["-subj", "/CN=waypost test", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
            + ["-addext", "keyUsage=critical,digitalSignature,keyCertSign", "-keyout", "tls.key", "-out", "tls.crt"],
            cwd=folder,
            check=True,
            capture_output=True,
        )
        port = conftest.free_port()
        self.socket = folder / "waypost.sock"
        (folder / "waypost.yaml").write_text(CONFIG.format(port=port, socket=self.socket, echo=echo))
        self.url = f"https://localhost:{port}"
        self.authority = folder / "tls.crt"
        trust = ssl.create_default_context(cafile=self.authority)
        # Each of them: where it is, and what the SDK is given.
        self.ways = {
            "tls": (self.url, lambda: {"verify": trust}),
            "unix": ("http://localhost", lambda: {"transport": httpx.HTTPTransport(uds=str(self.socket))}),
        }
        self.process = conftest.Process(folder, "listeners", "up", "waypost.yaml")
        with httpx.Client(verify=trust, transport=httpx.HTTPTransport(verify=trust, retries=5)) as client:
            client.get(f"{self.url}/readyz").raise_for_status()


@pytest.fixture(scope="module")
def listeners(gateway, tmp_path_factory):
    running = Listeners(tmp_path_factory.mktemp("listeners"), gateway.echo_url)
    yield running
    running.process.stop()
    assert not running.socket.exists(), "a stop removes it"


@pytest.mark.parametrize("way", ["tls", "unix"])
@pytest.mark.parametrize("model", ["openai/gpt-5.2", "anthropic/claude-sonnet-4-5"])
def test_both_sdks(listeners, way, model):
    url, options = listeners.ways[way]
    with httpx.Client(**options()) as http:
        chat = openai.OpenAI(base_url=f"{url}/v1", api_key="client-key", max_retries=0, timeout=20, http_client=http)
        asked = {"model": model, "messages": [{"role": "user", "content": "Hi there"}]}
        assert "Hi there" in chat.chat.completions.create(**asked).choices[0].message.content
        with chat.chat.completions.stream(**asked) as events:
            assert "Hi there" in events.get_final_completion().choices[0].message.content
        messages = anthropic.Anthropic(base_url=url, api_key="client-key", max_retries=0, timeout=20, http_client=http)
        asked["max_tokens"] = 100
        assert "Hi there" in messages.messages.create(**asked).content[0].text
        with messages.messages.stream(**asked) as stream:
            assert "Hi there" in stream.get_final_message().content[0].text


def test_the_usual_variable_names_the_authority(listeners, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(listeners.authority))
    for sdk, url in [(openai.OpenAI, f"{listeners.url}/v1"), (anthropic.Anthropic, listeners.url)]:
        assert sdk(base_url=url, api_key="client-key", max_retries=0, timeout=20).models.list().data


def test_without_the_authority_nothing_is_sent(listeners):
    chat = openai.OpenAI(base_url=f"{listeners.url}/v1", api_key="client-key", max_retries=0, timeout=20)
    with pytest.raises(openai.APIConnectionError) as raised:
        chat.models.list()
    assert "certificate verify failed" in str(raised.value.__cause__)


def test_the_wrong_scheme_is_an_error_of_the_sdk(listeners):
    url = listeners.url.replace("https://", "http://")
    chat = openai.OpenAI(base_url=f"{url}/v1", api_key="client-key", max_retries=0, timeout=20)
    with pytest.raises(openai.BadRequestError) as raised:
        chat.models.list()
    assert "`https://`" in raised.value.message


def test_the_socket_is_for_the_same_user(listeners):
    assert stat.S_IMODE(listeners.socket.stat().st_mode) == 0o600
