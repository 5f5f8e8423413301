"""Traces as OpenTelemetry's own messages and its own gRPC library read them: over HTTP and over gRPC."""

import http.server
import json
import threading
import time
from concurrent import futures

import grpc
import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1 import trace_pb2

CLIENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
POEM = "Write me a short poem about the sea at night"


def value(any_value):
    kind = any_value.WhichOneof("value")
    found = getattr(any_value, kind) if kind else None
    return [value(one) for one in found.values] if kind == "array_value" else found


class Collector:
    """Takes what comes, as often as it is told to."""

    def __init__(self):
        self.requests, self.headers, self.refusals, self.partial = [], [], [], None
        self.lock = threading.Condition()

    def take(self, message, headers):
        with self.lock:
            self.headers.append(headers)
            if self.refusals:
                return self.refusals.pop(0)
            self.requests.append(message)
            self.lock.notify_all()
        return None

    def response(self):
        response = trace_service_pb2.ExportTraceServiceResponse()
        if self.partial:
            response.partial_success.rejected_spans, response.partial_success.error_message = self.partial
        return response

    def spans(self, at_least, timeout=20):
        """All spans, once there are so many."""
        end = time.monotonic() + timeout
        with self.lock:
            while True:
                found = [
                    (span, {one.key: value(one.value) for one in span.attributes})
                    for request in self.requests
                    for resource in request.resource_spans
                    for scope in resource.scope_spans
                    for span in scope.spans
                ]
                if len(found) >= at_least:
                    return found
                left = end - time.monotonic()
                assert left > 0, f"{len(found)} spans have come, not {at_least}"
                self.lock.wait(left)

    def resource(self):
        attributes = self.requests[0].resource_spans[0].resource.attributes
        return {one.key: value(one.value) for one in attributes}


class Http(Collector):
    def __init__(self):
        super().__init__()
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                assert self.headers["content-type"] == "application/x-protobuf"
                message = trace_service_pb2.ExportTraceServiceRequest.FromString(body)
                refusal = collector.take(message, {"path": self.path, **{k.lower(): v for k, v in self.headers.items()}})
                answer = collector.response().SerializeToString()
                self.send_response(refusal or 200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(0 if refusal else len(answer)))
                if refusal:
                    self.send_header("retry-after", "0")
                self.end_headers()
                if not refusal:
                    self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.endpoint = f"http://127.0.0.1:{self.server.server_address[1]}"

    def stop(self):
        self.server.shutdown()


class Grpc(Collector, trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self):
        super().__init__()
        self.server = grpc.server(futures.ThreadPoolExecutor(2))
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(self, self.server)
        port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()
        self.endpoint = f"http://127.0.0.1:{port}"

    def Export(self, request, context):
        refusal = self.take(request, dict(context.invocation_metadata()))
        if refusal:
            context.abort(refusal, "not now")
        return self.response()

    def stop(self):
        self.server.stop(None)


@pytest.fixture(params=["http", "grpc"])
def collector(request):
    collector = Http() if request.param == "http" else Grpc()
    collector.kind = request.param
    yield collector
    collector.stop()


def tracing(collector, more=""):
    return f"tracing: {{endpoint: '{collector.endpoint}', protocol: {collector.kind}{more}}}\n"


def by_name(spans):
    return {span.name: (span, attributes) for span, attributes in spans}


def test_a_request_is_a_tree(start, collector):
    gateway = start(
        tracing(
            collector,
            ", headers: {x-team: blue, authorization: 'Bearer $COLLECTOR_KEY'}, service_name: router,"
            " span_attributes: {header_prefixes: [x-acme-], static: {environment: test}}",
        ),
        {"COLLECTOR_KEY": "collector-secret", "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=ci"},
    )
    headers = {"traceparent": CLIENT, "tracestate": "rojo=1,congo=2", "x-acme-team-name": "green", "x-acme-auth-token": "hidden"}
    status, _, sent = gateway.chat("auto", POEM, headers, stream=True)
    assert status == 200
    spans = collector.spans(4)
    lines = gateway.stop()
    assert len(spans) == 4, [span.name for span, _ in spans]
    resource = collector.resource()
    assert (resource["service.name"], resource["deployment.environment.name"]) == ("router", "ci")
    assert resource["service.version"] and resource["service.instance.id"]
    assert (collector.headers[0]["x-team"], collector.headers[0]["authorization"]) == ("blue", "Bearer collector-secret")

    names = by_name(spans)
    server, own = names["POST /v1/chat/completions"]
    decision, decided = names["decide"]
    attempt, called = names["chat claude-sonnet-4-5"]
    stream, _ = names["stream"]
    # One trace, the client's.
    for span, _ in spans:
        assert span.trace_id.hex() == "4bf92f3577b34da6a3ce929d0e0e4736"
        assert span.trace_state == "rojo=1,congo=2"
        assert span.flags & 1 == 1 and span.flags & 0x100
        assert 0 < span.start_time_unix_nano <= span.end_time_unix_nano
        assert server.start_time_unix_nano <= span.start_time_unix_nano
        assert span.end_time_unix_nano <= server.end_time_unix_nano
    assert len({span.span_id for span, _ in spans}) == 4
    assert server.parent_span_id.hex() == "00f067aa0ba902b7" and server.flags & 0x200
    assert decision.parent_span_id == attempt.parent_span_id == server.span_id
    assert stream.parent_span_id == attempt.span_id
    kinds = trace_pb2.Span
    assert (server.kind, decision.kind, attempt.kind, stream.kind) == (
        kinds.SPAN_KIND_SERVER,
        kinds.SPAN_KIND_INTERNAL,
        kinds.SPAN_KIND_CLIENT,
        kinds.SPAN_KIND_INTERNAL,
    )
    assert stream.start_time_unix_nano >= attempt.start_time_unix_nano
    assert attempt.end_time_unix_nano == stream.end_time_unix_nano == server.end_time_unix_nano

    assert own["http.request.method"] == "POST" and own["http.response.status_code"] == 200
    assert own["http.route"] == "/v1/chat/completions"
    assert own["waypost.request.id"] == sent["x-waypost-request-id"] == lines[0]["request_id"]
    assert (own["waypost.route"], own["waypost.method"]) == ("creative writing", "preference")
    assert own["waypost.cost_usd"] > 0 and own["waypost.default_cost_usd"] > 0
    assert (own["team.name"], own["environment"]) == ("green", "test")
    assert "hidden" not in str(collector.requests) and "client-secret" not in str(collector.requests)

    assert decided["waypost.scorer"] == "embedded" and 0 < decided["waypost.confidence"] <= 1
    assert decided["waypost.routes"][0] == "creative writing"
    assert len(decided["waypost.probabilities"]) == len(decided["waypost.routes"]) == 2
    assert decided["waypost.probabilities"] == sorted(decided["waypost.probabilities"], reverse=True)

    assert called["gen_ai.operation.name"] == "chat"
    assert called["gen_ai.provider.name"] == "anthropic"
    assert called["gen_ai.request.model"] == "claude-sonnet-4-5"
    assert called["gen_ai.response.model"]
    assert called["gen_ai.response.finish_reasons"] == ["end_turn"]
    assert called["gen_ai.usage.input_tokens"] == lines[0]["input_tokens"]
    assert called["gen_ai.usage.output_tokens"] == lines[0]["output_tokens"]
    assert called["gen_ai.request.stream"] is True and called["gen_ai.response.time_to_first_chunk"] > 0
    assert 0 < called["waypost.connect_time"] < called["gen_ai.response.time_to_first_chunk"]
    assert called["server.address"] == "127.0.0.1" and called["server.port"] > 0
    assert "error.type" not in called and server.status.code == 0
    # What is said stays here, although records keep it.
    assert not any("messages" in name for _, attributes in spans for name in attributes)


def test_each_attempt_has_its_span(start, collector):
    gateway = start(tracing(collector))
    assert gateway.chat("pool", "Hi [[echo status=503]]")[0] == 503
    spans = collector.spans(4)
    attempts = [(span, attributes) for span, attributes in spans if span.kind == trace_pb2.Span.SPAN_KIND_CLIENT]
    assert [span.name for span, _ in attempts] == ["chat gpt-5", "chat claude-sonnet-4-5"]
    for span, attributes in attempts:
        assert attributes["error.type"] == "overload" and attributes["http.response.status_code"] == 503
        assert span.status.code == trace_pb2.Status.STATUS_CODE_ERROR
    server, own = by_name(spans)["POST /v1/chat/completions"]
    assert not server.parent_span_id and own["error.type"] == "503"
    assert server.status.code == trace_pb2.Status.STATUS_CODE_ERROR and server.status.message
    # What the client does wrong is no error of the server's, and no attempt.
    assert gateway.chat("no-such-model", "Hi")[0] == 404
    refused = [pair for pair in collector.spans(5) if pair[1].get("http.response.status_code") == 404]
    assert refused[0][0].status.code == 0 and refused[0][1]["error.type"] == "404"
    gateway.stop()


@pytest.mark.parametrize("fault, name", [("error_after=4", "provider"), ("cut_after=4", "transport")])
def test_a_stream_that_breaks_off_is_an_error(start, collector, fault, name):
    gateway = start(tracing(collector))
    status, _, _ = gateway.chat("fast-model", f"[[echo text='a b c d e f g h' {fault}]]", stream=True)
    assert status == 200
    spans = by_name(collector.spans(4))
    gateway.stop()
    server, own = spans["POST /v1/chat/completions"]
    assert own["error.type"] == "stream_error" and own["http.response.status_code"] == 200
    assert server.status.code == trace_pb2.Status.STATUS_CODE_ERROR and server.status.message
    call, called = spans["chat gpt-5.2"]
    assert called["error.type"] == called["waypost.outcome"] == name
    assert call.status.code == trace_pb2.Status.STATUS_CODE_ERROR and call.status.message == server.status.message
    # It lasted as long as its stream, which has its own span.
    assert spans["stream"][0].parent_span_id == call.span_id
    assert call.end_time_unix_nano == spans["stream"][0].end_time_unix_nano


def test_content_goes_along_where_it_is_wanted(start, collector):
    gateway = start(tracing(collector, ", content: true"))
    assert gateway.chat("fast-model", "Tell me of lighthouses")[0] == 200
    _, attributes = by_name(collector.spans(3))["chat gpt-5.2"]
    gateway.stop()
    asked = json.loads(attributes["gen_ai.input.messages"])
    assert asked == [{"role": "user", "parts": [{"type": "text", "content": "Tell me of lighthouses"}]}]
    [answer] = json.loads(attributes["gen_ai.output.messages"])
    assert answer["role"] == "assistant" and "lighthouses" in answer["parts"][0]["content"]
    assert answer["finish_reason"] == "stop"


def test_who_samples(start, collector):
    gateway = start(tracing(collector, ", random_sampling: 0"))
    assert gateway.chat("fast-model", "Hi")[0] == 200
    assert gateway.chat("fast-model", "Hi", {"traceparent": CLIENT[:-1] + "0"})[0] == 200
    assert gateway.chat("fast-model", "Hi", {"traceparent": CLIENT})[0] == 200
    lines = gateway.stop()
    assert [line.get("trace_id") is not None for line in lines][1:] == [True, True]
    spans = collector.spans(3)
    assert len(spans) == 3 and all(span.trace_id.hex() == CLIENT[3:35] for span, _ in spans)


def test_the_usual_variables_are_enough(start, collector):
    protocol = {"http": "http/protobuf", "grpc": "grpc"}[collector.kind]
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_HEADERS": "x-key=a%20b",
        "OTEL_SERVICE_NAME": "from-the-environment",
    }
    gateway = start(environment=environment)
    assert gateway.chat("fast-model", "Hi")[0] == 200
    collector.spans(3)
    gateway.stop()
    assert collector.resource()["service.name"] == "from-the-environment"
    assert collector.headers[0]["x-key"] == "a b"
    if collector.kind == "http":
        assert collector.headers[0]["path"] == "/v1/traces"


def test_a_collector_may_refuse_for_a_while(start, collector):
    collector.refusals = [503, 429] if collector.kind == "http" else [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED]
    gateway = start(tracing(collector))
    assert gateway.chat("fast-model", "Hi")[0] == 200
    assert len(collector.spans(3)) == 3
    assert len(collector.headers) == 3
    # It takes the rest, and says that some of it is no good.
    collector.partial = (2, "too many attributes")
    assert gateway.chat("fast-model", "Hi")[0] == 200
    collector.spans(6)
    wait_until(lambda: 'waypost_spans_total{outcome="rejected"} 2' in gateway.metrics())
    assert 'waypost_spans_total{outcome="exported"} 4' in gateway.metrics()
    gateway.stop()
    assert "too many attributes" in gateway.errors.read_text()


def test_what_a_collector_never_takes_is_counted(start, collector):
    collector.refusals = [400] if collector.kind == "http" else [grpc.StatusCode.INVALID_ARGUMENT]
    gateway = start(tracing(collector))
    assert gateway.chat("fast-model", "Hi")[0] == 200
    wait_until(lambda: 'waypost_spans_total{outcome="failed"} 3' in gateway.metrics())
    assert gateway.chat("fast-model", "Hi")[0] == 200
    assert len(collector.spans(3)) == 3
    gateway.stop()
    log = gateway.errors.read_text()
    assert "traces do not arrive at the collector" in log and "arrive at the collector again" in log


def test_the_last_spans_arrive_when_it_stops(start, collector):
    gateway = start(tracing(collector))
    for _ in range(50):
        assert gateway.chat("fast-model", "Hi")[0] == 200
    gateway.stop()
    assert len(collector.spans(150, timeout=1)) == 150


def test_a_stop_does_not_wait_for_a_collector_that_is_gone(start, collector):
    collector.stop()
    gateway = start("tracing: {endpoint: 'http://127.0.0.1:9', protocol: %s}\n" % collector.kind)
    assert gateway.chat("fast-model", "Hi")[0] == 200
    began = time.monotonic()
    gateway.stop()
    assert time.monotonic() - began < 10


def test_a_new_configuration_has_another_collector(start, collector):
    gateway = start()
    assert gateway.chat("fast-model", "Hi")[0] == 200
    gateway.write(tracing(collector))
    wait_until(lambda: gateway.chat("fast-model", "Hi")[0] == 200 and collector.requests)
    gateway.write("")
    wait_until(lambda: "the configuration has been reloaded" in gateway.errors.read_text().split("reloaded", 1)[-1])
    count = len(collector.spans(3))
    assert gateway.chat("fast-model", "Hi")[0] == 200
    gateway.stop()
    assert len(collector.spans(count)) - count < 3


def test_a_provider_is_told_of_its_call(start, collector):
    """The gateway's own provider is a gateway that traces: the trace goes through both."""
    behind = start(tracing(collector, ", service_name: behind"))
    front_folder = behind.folder / "front"
    front_folder.mkdir()
    front = type(behind)(front_folder, f"http://127.0.0.1:{behind.port}", tracing(collector, ", service_name: front"))
    try:
        assert front.chat("openai/gpt-5.2", "Hi", {"traceparent": CLIENT, "tracestate": "rojo=1"})[0] == 200
        spans = collector.spans(6)
    finally:
        front.stop()
    assert {span.trace_id.hex() for span, _ in spans} == {CLIENT[3:35]}
    assert {span.trace_state for span, _ in spans} == {"rojo=1"}
    ids = {span.span_id: span for span, _ in spans}
    servers = [span for span, _ in spans if span.kind == trace_pb2.Span.SPAN_KIND_SERVER]
    [inner] = [span for span in servers if span.parent_span_id in ids]
    assert ids[inner.parent_span_id].kind == trace_pb2.Span.SPAN_KIND_CLIENT
    behind.stop()


def wait_until(holds, timeout=20):
    end = time.monotonic() + timeout
    while not holds():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.1)
