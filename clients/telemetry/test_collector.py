"""Traces through a collector that is somebody else's: Rotel, which takes OTLP over HTTP and gRPC, batches, and sends on by
OTLP. What it sends on is read, so that what it understood is what we meant. (No package has the OpenTelemetry project's
own collector with a receiver of OTLP; its messages and its gRPC library are those of test_traces.py.)"""

import importlib.util
import pathlib
import subprocess
import sys

import pytest
from conftest import free_port, wait_for
from test_traces import CLIENT, POEM, Grpc, by_name

found = importlib.util.find_spec("rotel")
# requirements.txt says for which machines there is one.
if found is None:
    pytest.skip("no collector is packed for this machine", allow_module_level=True)


@pytest.fixture
def chain(tmp_path):
    """The collector in front of a receiver: where it takes what, and the receiver."""
    behind = Grpc()
    ports = {"grpc": free_port(), "http": free_port()}
    agent = pathlib.Path(found.origin).with_name("rotel-agent")
    process = subprocess.Popen(
        [
            *(agent, "start", "--exporter", "otlp", "--batch-timeout", "100ms"),
            *("--otlp-grpc-endpoint", f"127.0.0.1:{ports['grpc']}", "--otlp-http-endpoint", f"127.0.0.1:{ports['http']}"),
            *("--otlp-exporter-endpoint", behind.endpoint, "--otlp-exporter-protocol", "grpc"),
        ],
        cwd=tmp_path,
        env={"HOME": str(tmp_path)},
        stdout=(tmp_path / "collector.log").open("w"),
        stderr=subprocess.STDOUT,
    )
    for port in ports.values():
        wait_for(("127.0.0.1", port))
    yield {kind: f"http://127.0.0.1:{port}" for kind, port in ports.items()}, behind
    process.terminate()
    process.wait()
    behind.stop()


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_collector_passes_on_what_was_meant(start, chain, protocol):
    endpoints, behind = chain
    gateway = start(f"tracing: {{endpoint: '{endpoints[protocol]}', protocol: {protocol}, service_name: router}}\n")
    status, _, sent = gateway.chat("auto", POEM, {"traceparent": CLIENT, "tracestate": "rojo=1"}, stream=True)
    assert status == 200
    behind.spans(4)
    assert gateway.chat("gpt-5.2", "Hi [[echo status=503]]")[0] == 503
    spans = behind.spans(4 + 3)
    gateway.stop()
    assert behind.resource()["service.name"] == "router"
    one = [(span, attributes) for span, attributes in spans if span.trace_id.hex() == CLIENT.split("-")[1]]
    names = by_name(one)
    assert sorted(names) == ["POST /v1/chat/completions", "chat claude-sonnet-4-5", "decide", "stream"]
    (server, own), (attempt, called) = names["POST /v1/chat/completions"], names["chat claude-sonnet-4-5"]
    assert server.parent_span_id.hex() == CLIENT.split("-")[2] and server.trace_state == "rojo=1"
    assert attempt.parent_span_id == server.span_id and names["stream"][0].parent_span_id == attempt.span_id
    assert own["waypost.request.id"] == sent["x-waypost-request-id"] and own["http.response.status_code"] == 200
    assert called["gen_ai.provider.name"] == "anthropic" and called["gen_ai.usage.output_tokens"] > 0
    decided = names["decide"][1]
    assert len(decided["waypost.probabilities"]) == len(decided["waypost.routes"]) == 2
    # Errors and times are its as well.
    failed = [span for span, _ in spans if span.status.code == 2]
    assert failed and all(span.start_time_unix_nano <= span.end_time_unix_nano for span, _ in spans)
