"""What goes to Amazon Bedrock, checked by Amazon's own SDK: requests against its model of the service, signatures by its
signer; and what the stand-in here answers is read by its parsers, so that it is a fair one."""

import binascii
import http.server
import json
import pathlib
import re
import struct
import threading
import urllib.error
import urllib.parse
import urllib.request

import botocore.session
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.eventstream import EventStreamBuffer
from botocore.parsers import create_parser
from botocore.validate import ParamValidator

import official
from conftest import KEYS, ROOT, Process, free_port

REGION = "eu-central-1"
# Of each kind that requests differ for.
MODELS = [
    "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "global.anthropic.claude-opus-4-6-v1",
    "us.amazon.nova-2-lite-v1:0",
    "meta.llama3-3-70b-instruct-v1:0",
]
ARN = "arn:aws:bedrock:eu-central-1:123456789012:application-inference-profile/a1b2c3d4e5f6"
ANSWER = {
    "output": {"message": {"role": "assistant", "content": [{"text": "Fine"}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 3, "outputTokens": 5, "totalTokens": 8},
    "metrics": {"latencyMs": 9},
}
EVENTS = [
    ("messageStart", {"role": "assistant"}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Fi"}}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "ne"}}),
    ("contentBlockStop", {"contentBlockIndex": 0}),
    ("messageStop", {"stopReason": "end_turn"}),
    ("metadata", {"usage": ANSWER["usage"], "metrics": {"latencyMs": 9}}),
]
SERVICE = botocore.session.Session().get_service_model("bedrock-runtime")
CLIENTS = {
    "openai_chat": "/v1/chat/completions",
    "openai_responses": "/v1/responses",
    "anthropic_messages": "/v1/messages",
    "gemini": "/v1beta/models/{model}:generateContent",
}


def frame(kind: str, payload: dict) -> bytes:
    headers = b""
    for name, value in [(":event-type", kind), (":content-type", "application/json"), (":message-type", "event")]:
        headers += struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", 7, len(value)) + value.encode()
    body = json.dumps(payload).encode()
    head = struct.pack("!II", len(headers) + len(body) + 16, len(headers))
    head += struct.pack("!I", binascii.crc32(head))
    whole = head + headers + body
    return whole + struct.pack("!I", binascii.crc32(whole))


STREAM = b"".join(frame(kind, payload) for kind, payload in EVENTS)


class Seen(list):
    """The requests that have come: path, headers, body."""


@pytest.fixture(scope="module")
def bedrock(tmp_path_factory):
    """The address of a gateway in front of a stand-in, and what the stand-in has seen."""
    seen = Seen()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            seen.append((self.path, dict(self.headers.items()), body))
            is_stream = self.path.endswith("/converse-stream")
            answer = STREAM if is_stream else json.dumps(ANSWER).encode()
            self.send_response(200)
            self.send_header(
                "content-type", "application/vnd.amazon.eventstream" if is_stream else "application/json"
            )
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    folder = tmp_path_factory.mktemp("bedrock")
    port = free_port()
    keys = "aws_access_key_id: AKIDEXAMPLE, aws_secret_access_key: $OPENAI_API_KEY, aws_session_token: $ANTHROPIC_API_KEY"
    address = f"http://127.0.0.1:{server.server_port}"
    (folder / "waypost.yaml").write_text(
        f"listeners: {{egress_traffic: {{address: 127.0.0.1, port: {port}}}}}\n"
        f"model_providers: [{{model: amazon_bedrock/*, {keys}, region: {REGION}, base_url: '{address}'}}]\n"
    )
    process = Process(folder, "gateway", "up", "waypost.yaml", "--log-format", "json")
    process.wait_for(f"http://127.0.0.1:{port}/readyz")
    yield f"http://127.0.0.1:{port}", seen, address
    process.stop()
    server.shutdown()
    assert not any(secret in process.text() for secret in KEYS.values()), "a key was printed"


def post(url: str, body: bytes) -> tuple[int, bytes]:
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def ask(url: str, client: str, model: str, body: dict) -> tuple[int, bytes]:
    name = f"amazon_bedrock/{model}"
    path = CLIENTS[client].format(model=urllib.parse.quote(name, safe=""))
    return post(url + path, json.dumps({**body, "model": name}).encode())


def check_request(path: str, body: bytes, name: str) -> None:
    model, _ = re.fullmatch(r"/model/([^/]+)/(converse|converse-stream)", path).groups()
    faults = official.faults_of_converse("request", json.loads(body), urllib.parse.unquote(model))
    assert not faults, f"{name}: {faults}"


def fixtures(client: str) -> list[pathlib.Path]:
    found = sorted((ROOT / "crates/dialect/tests/fixtures" / client).glob("*/request.json"))
    assert len(found) > 10
    return found


@pytest.mark.parametrize("client", CLIENTS)
def test_requests_fit_the_model_of_the_service(bedrock, client):
    url, seen, _ = bedrock
    sent = 0
    for fixture in fixtures(client):
        body = json.loads(fixture.read_text())
        for model in MODELS:
            seen.clear()
            status, answer = ask(url, client, model, body)
            assert status in (200, 400), f"{fixture}: {status} {answer}"
            for path, _, sent_body in seen:
                check_request(path, sent_body, f"{fixture.parent.name} to {model}")
                sent += 1
    assert sent > 40


def test_the_stand_in_speaks_as_the_service_does(bedrock):
    """Amazon's parsers read our events; so what the gateway has to read here is no dialect of ours."""
    parsed = create_parser("rest-json").parse(
        {"status_code": 200, "headers": {}, "body": json.dumps(ANSWER).encode(), "context": {}},
        SERVICE.operation_model("Converse").output_shape,
    )
    assert parsed["output"]["message"]["content"][0]["text"] == "Fine"
    buffer = EventStreamBuffer()
    buffer.add_data(STREAM)
    kinds = [message.headers[":event-type"] for message in buffer]
    assert kinds == [kind for kind, _ in EVENTS]
    shape = SERVICE.operation_model("ConverseStream").output_shape.members["stream"]
    for kind, payload in EVENTS:
        report = ParamValidator().validate(payload, shape.members[kind])
        assert not report.has_errors(), report.generate_report()


@pytest.mark.parametrize("model", [*MODELS, ARN])
@pytest.mark.parametrize("stream", [False, True])
def test_signatures_are_those_of_amazons_signer(bedrock, model, stream):
    url, seen, address = bedrock
    body = {"messages": [{"role": "user", "content": "Grüße"}], "stream": stream}
    status, answer = ask(url, "openai_chat", model, body)
    assert status == 200 and b"Fi" in answer, answer
    path, headers, sent = seen[-1]
    headers = {name.lower(): value for name, value in headers.items()}
    scope, signed, signature = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/(\S+), SignedHeaders=(\S+), Signature=([0-9a-f]{64})",
        headers["authorization"],
    ).groups()
    assert scope == f"{headers['x-amz-date'][:8]}/{REGION}/bedrock/aws4_request"
    assert headers["x-amz-security-token"] == KEYS["ANTHROPIC_API_KEY"]
    signer = SigV4Auth(Credentials("AKIDEXAMPLE", KEYS["OPENAI_API_KEY"]), "bedrock", REGION)
    names = [name for name in signed.split(";") if name != "host"]
    request = AWSRequest("POST", address + path, {name: headers[name] for name in names}, sent)
    request.context["timestamp"] = headers["x-amz-date"]
    # As sent, not as the signer would hash it itself: the header has to be the hash of the body.
    assert headers["x-amz-content-sha256"] == signer.payload(request)
    canonical = signer.canonical_request(request)
    assert canonical.splitlines()[-2] == signed
    assert signer.signature(signer.string_to_sign(request, canonical), request) == signature
