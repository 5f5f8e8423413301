"""The router model at a real engine: llama.cpp with a tiny Qwen2 (router_engine.py), behind a proxy that writes down
every byte."""

import http.server
import json
import subprocess
import sys
import threading
import urllib.request

import pytest
from conftest import KEYS, ROOT, Process, free_port

ROUTES = {
    "code generation": "generating new code snippets, functions, or boilerplate based on user prompts",
    "code review": "finding mistakes in \"existing\" code; the team's own rules",
    "creative writing": "Geschichten, poems & <tags> für {conversation}",
}

# The golden of this test; Rust has its own. Typed from Plano's prompt, not taken from Waypost.
PROMPT = """
You are a helpful assistant designed to find the best suited route.
You are provided with route description within <routes></routes> XML tags:
<routes>
%s
</routes>

<conversation>
%s
</conversation>

Your task is to decide which route is best suit with user intent on the conversation in <conversation></conversation> XML tags.  Follow the instruction:
1. If the latest intent from user is irrelevant or user intent is full filled, response with other route {"route": "other"}.
2. You must analyze the route descriptions and find the best match route for user latest intent.
3. You only response the name of the route that best matches the user's request, use the exact name in the <routes></routes>.

Based on your analysis, provide your response in the following JSON formats if you decide to match any route:
{"route": "route_name"}
"""


def compact(value) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def post(url: str, body: dict) -> dict:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


class Proxy(http.server.ThreadingHTTPServer):
    """Passes everything on, and keeps it."""

    def __init__(self, engine: str):
        self.engine, self.seen = engine, []
        super().__init__(("127.0.0.1", 0), Passing)
        threading.Thread(target=self.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server_port}"


class Passing(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        asked = self.rfile.read(int(self.headers["content-length"]))
        request = urllib.request.Request(
            self.server.engine + self.path, asked, {"content-type": self.headers["content-type"]}
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                status, said = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, said = error.code, error.read()
        self.server.seen.append((asked, status, said))
        try:
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)
        except OSError:
            pass  # The gateway has left.

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("engine")
    port = free_port()
    program = [sys.executable, str(ROOT / "clients/python/router_engine.py"), str(folder / "tiny.gguf"), str(port)]
    log = folder / "engine.out"
    process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=log.open("wb"), stderr=subprocess.STDOUT)
    url = f"http://127.0.0.1:{port}"
    for _ in range(400):
        try:
            urllib.request.urlopen(f"{url}/health", timeout=1).read()
            break
        except OSError:
            assert process.poll() is None, log.read_text()
            threading.Event().wait(0.05)
    else:
        raise AssertionError(log.read_text())
    yield url
    process.kill()
    process.wait()


class Asking:
    """A gateway whose router model is the engine."""

    def __init__(self, folder, engine: str, routing: dict):
        self.proxy = Proxy(engine)
        port = free_port()
        model = routing.pop("model", "Arch-Router")
        config = {
            "listeners": {"egress_traffic": {"port": port}},
            "model_providers": [
                {"model": "openai/gpt-5", "access_key": "$OPENAI_API_KEY", "default": True},
                {"model": f"plano/{model}", "base_url": f"{self.proxy.url}/v1"},
            ],
            "routing_preferences": [
                {"name": name, "description": description, "models": ["gpt-5"]}
                for name, description in ROUTES.items()
            ],
            "routing": {"arch_router": f"plano/{model}", "cascade": "router_first", "deadline": "20s", **routing},
        }
        (folder / "waypost.yaml").write_text(json.dumps(config))
        self.process = Process(folder, "gateway", "up", "waypost.yaml", "--log-format", "json")
        self.url = f"http://127.0.0.1:{port}"
        self.process.wait_for(f"{self.url}/readyz")

    def decide(self, *texts: str) -> dict:
        """The decision on a conversation in which the user speaks first."""
        messages = [{"role": ["user", "assistant"][turn % 2], "content": text} for turn, text in enumerate(texts)]
        return post(f"{self.url}/routing/v1/chat/completions", {"messages": messages})

    def last(self) -> tuple[dict, dict]:
        asked, status, said = self.proxy.seen[-1]
        assert status == 200, said
        return json.loads(asked), json.loads(said)


@pytest.fixture
def asking(tmp_path, engine):
    running = []

    def start(**routing) -> Asking:
        running.append(Asking(tmp_path, engine, routing))
        return running[-1]

    yield start
    for gateway in running:
        gateway.process.stop()
        gateway.proxy.shutdown()
        assert gateway.proxy.url not in gateway.process.text().split("ready ")[-1], "the log shows the address"
        assert KEYS["OPENAI_API_KEY"] not in gateway.process.text()


def test_the_prompt_reaches_the_model_byte_for_byte(asking, engine):
    gateway = asking()
    texts = ["hi", "Hello!\nHow can I help?", 'draw a "café" </conversation> 🎨']
    gateway.decide(*texts)
    body, _ = gateway.last()
    conversation = [{"role": ["user", "assistant"][turn % 2], "content": text} for turn, text in enumerate(texts)]
    routes = [{"name": name, "description": description} for name, description in ROUTES.items()]
    prompt = PROMPT % (compact(routes), compact(conversation))
    assert body["messages"] == [{"role": "user", "content": prompt}]
    # And as the engine tokenizes it: the same bytes come back.
    tokens = post(f"{engine}/tokenize", {"content": prompt})["tokens"]
    assert post(f"{engine}/detokenize", {"tokens": tokens})["content"] == prompt
    assert prompt in post(f"{engine}/apply-template", {"messages": body["messages"]})["prompt"]


def test_without_a_constraint_nonsense_decides_nothing(asking):
    gateway = asking()
    page = gateway.decide("Write a poem about the sea")
    assert (page["scorer"], page["route"]) == ("embedded", "creative writing"), page
    assert page["notes"][0].startswith("Arch-Router gave an answer that cannot be read"), page


@pytest.mark.parametrize("model", ["Arch-Router", "Plano-Orchestrator"])
@pytest.mark.parametrize("constrain", ["json_schema", "grammar"])
def test_a_constrained_answer_names_a_route(asking, model, constrain):
    gateway = asking(model=model, router_model={"constrain": constrain})
    for text in ["Write a poem", "Bitte etwas Schönes"]:
        page = gateway.decide(text)
        assert page["scorer"] == model.lower(), page
        assert page["notes"] == [] and page["route"] in [*ROUTES, None], page
        body, said = gateway.last()
        route = json.loads(said["choices"][0]["message"]["content"])["route"]
        named = route if isinstance(route, str) else (route or ["other"])[0]
        assert named == (page["route"] or "other")
        # Its log-probabilities became the confidence, and the routes that it might have named instead are listed.
        assert body["logprobs"] is True and said["choices"][0]["logprobs"]["content"]
        assert 0 < page["confidence"] <= 1, page
        shares = {score["route"]: score["probability"] for score in page["router_scores"]}
        assert shares[page["route"]] == page["confidence"]


def test_the_engines_numbers_are_as_expected(asking):
    """What Waypost relies on in the engine's numbers, and that a confidence comes of them."""
    gateway = asking(router_model={"constrain": "grammar"})
    page = gateway.decide("Write a poem")
    _, said = gateway.last()
    tokens = said["choices"][0]["logprobs"]["content"]
    spelled = b"".join(bytes(token["bytes"]) for token in tokens)
    # llama.cpp gives the bytes of the whole answer, in order.
    assert spelled.decode() == said["choices"][0]["message"]["content"]
    assert all(len(token["top_logprobs"]) == 10 for token in tokens)
    # What the model would have said freely: forbidden tokens are among the alternatives.
    best = max(tokens[0]["top_logprobs"], key=lambda other: other["logprob"])
    assert best["token"] != tokens[0]["token"]
    assert page["confidence"] > 0


def test_the_prefix_cache_of_the_engine_hits(asking):
    gateway = asking(router_model={"constrain": "grammar"})
    gateway.decide("Write a poem")
    gateway.decide("And now for something completely different")
    body, said = gateway.last()
    prompt = body["messages"][0]["content"]
    shared = prompt.index("And now") / len(prompt)
    cached = said["timings"]["cache_n"] / (said["timings"]["cache_n"] + said["timings"]["prompt_n"])
    assert cached > 0.8 * shared, (cached, shared)


def test_an_answer_is_kept_for_the_same_conversation(asking):
    gateway = asking(router_model={"constrain": "json_schema"})
    pages = [gateway.decide("Write a poem") for _ in range(3)]
    assert len(gateway.proxy.seen) == 1
    assert pages[0]["route"] == pages[2]["route"] and pages[0]["confidence"] == pages[2]["confidence"]


def test_after_the_deadline_the_embedded_router_decides(asking, engine):
    gateway = asking(deadline="1ms", router_model={"constrain": "json_schema"})
    page = gateway.decide("Write a poem about the sea")
    assert (page["scorer"], page["route"]) == ("embedded", "creative writing"), page
    assert page["notes"] == ["Arch-Router did not answer within the deadline; the embedded scorer decided instead"]
    assert page["decision_ms"] < 1000
    # The engine is none the worse for the calls that were given up.
    assert post(f"{engine}/tokenize", {"content": "hi"})["tokens"]


def test_only_what_is_unsure_is_escalated(asking):
    gateway = asking(cascade="embedded_first", router_model={"constrain": "json_schema"})
    sure = gateway.decide("Write me a poem and then a short story about the sea at night")
    assert sure["scorer"] == "embedded" and not gateway.proxy.seen, sure
    unsure = gateway.decide("hmm")
    assert unsure["scorer"] == "arch-router" and len(gateway.proxy.seen) == 1, unsure
    assert "the embedded scorer was not sure" in unsure["reason"]
    assert len(unsure["scores"]) == len(ROUTES)


def test_a_refusal_of_the_engine_is_a_note(asking):
    """A prompt that is longer than the context: llama.cpp answers with 400."""
    gateway = asking()
    page = gateway.decide("word " * 10_000)
    assert page["scorer"] == "embedded" and "answered with status 400" in page["notes"][0], page
    assert gateway.proxy.seen[-1][1] == 400
    # It was not the log-probabilities.
    gateway.decide("hi")
    assert gateway.last()[0]["logprobs"] is True
