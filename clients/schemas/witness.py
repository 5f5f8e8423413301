"""A connection's witness: it stands between two HTTP peers, passes every byte on, and holds what is said against the
official schemas.

It changes nothing, so faults of the wire (half bodies, closed connections) stay what they are. A message is judged
before its last byte goes on: who has read an answer can ask for the verdict on it.

Before the provider it judges what the gateway asks, and what the provider answers; before the gateway, what the gateway
answers. What a client asks is the client's affair.

    python clients/schemas/witness.py upstream PORT TARGET_PORT downstream PORT TARGET_PORT

serves until its standard input ends; `GET /_witness` answers with the verdicts since the last `GET`.
"""

import asyncio
import json
import re
import sys
import threading

import h11
import official
from botocore.eventstream import EventStreamBuffer

# Answers that were ordered to lack what their schema requires, or to say a word of another API. Where client and
# provider speak the same one, the first goes through.
ORDERED = {
    "downstream": re.compile(rb"\[\[echo [^\]]*no_usage"),
    "upstream": re.compile(rb"\[\[echo [^\]]*(no_usage|finish=(failed|refusal))"),
}
PATHS = [
    (re.compile(r"/chat/completions$"), "openai_chat"),
    (re.compile(r"/responses$"), "openai_responses"),
    (re.compile(r"/messages$"), "anthropic_messages"),
    (re.compile(r":(stream)?[gG]enerateContent$"), "gemini"),
    (re.compile(r"/model/[^/]+/converse(-stream)?$"), "bedrock_converse"),
]


def dialect_of(path):
    path = path.partition("?")[0]
    if path.startswith(("/_echo", "/routing")):
        return None
    return next((dialect for pattern, dialect in PATHS if pattern.search(path)), None)


class Exchange:
    """One request and its answer, as far as they have come."""

    def __init__(self, target):
        self.dialect = dialect_of(target)
        self.body = bytearray()
        self.answer = bytearray()
        self.status = 0
        self.is_stream = False
        # The client wants to be told of its request, which no schema of another's knows.
        self.is_told = False
        # Amazon's own reader, where a stream is binary.
        self.messages = None


class Connection:
    """Reads along on both sides of one connection."""

    def __init__(self, witness):
        self.witness = witness
        self.asked = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
        self.answered = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
        self.exchange = None

    def request(self, data):
        self.asked.receive_data(data)
        self.read_requests()

    def read_requests(self):
        while (event := self.asked.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            if isinstance(event, h11.Request):
                self.exchange = Exchange(event.target.decode())
                self.exchange.is_told = (b"x-waypost-metadata", b"enabled") in event.headers
                # Both sides have to know how the other one's message ends.
                self.answered.send(event)
            elif isinstance(event, h11.Data):
                self.exchange.body += event.data
                self.answered.send(event)
            elif isinstance(event, h11.EndOfMessage):
                self.answered.send(event)
                self.witness.asked(self.exchange)
            else:
                return

    def response(self, data):
        self.answered.receive_data(data)
        while (event := self.answered.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            if isinstance(event, h11.Response):
                headers = dict(event.headers)
                self.exchange.status = event.status_code
                content_type = headers.get(b"content-type", b"")
                self.exchange.is_stream = content_type.startswith(b"text/event-stream")
                if content_type == b"application/vnd.amazon.eventstream":
                    self.exchange.messages = EventStreamBuffer()
                self.asked.send(event)
            elif isinstance(event, h11.InformationalResponse):
                self.asked.send(event)
            elif isinstance(event, h11.Data):
                self.exchange.answer += event.data
                self.witness.streamed(self.exchange)
                self.asked.send(event)
            elif isinstance(event, h11.EndOfMessage):
                self.asked.send(event)
                self.witness.answered(self.exchange)
                if self.asked.states == {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE}:
                    self.asked.start_next_cycle()
                    self.answered.start_next_cycle()
                    self.read_requests()
            else:
                return


class Witness:
    def __init__(self, role, port, target_port):
        self.role, self.port, self.target_port = role, port, target_port
        self.verdicts = []
        self.seen = {"request": 0, "answer": 0, "event": 0, "error": 0}

    def judge(self, exchange, what, data):
        if exchange.dialect is None or (what != "request" and ORDERED[self.role].search(exchange.body)):
            return
        try:
            value = json.loads(data)
        except ValueError:
            if self.role == "downstream":
                self.verdicts.append(f"{self.role}: an {what} that is no JSON: {data[:300]}")
            return
        self.seen[what] += 1
        if exchange.is_told and what in ("answer", "event") and self.role == "downstream":
            value.get("response", value).pop("waypost", None)
        faults = official.faults(exchange.dialect, what, value)
        if faults:
            text = json.dumps(value)
            self.verdicts.append(f"{self.role}: no {what} of {exchange.dialect}: {faults[:5]}\n{text[:1500]}")

    def asked(self, exchange):
        if self.role == "upstream":
            self.judge(exchange, "request", exchange.body)

    def streamed(self, exchange):
        """Whole events are judged as they come."""
        if exchange.messages is not None:
            exchange.messages.add_data(bytes(exchange.answer))
            exchange.answer.clear()
            for message in exchange.messages:
                name = message.headers.get(":event-type") or message.headers[":exception-type"]
                self.judge(exchange, "event", b'{"%s": %s}' % (name.encode(), message.payload))
            return
        while exchange.is_stream:
            end = re.search(rb"\r?\n\r?\n", exchange.answer)
            if end is None:
                return
            event = bytes(exchange.answer[: end.start()])
            del exchange.answer[: end.end()]
            data = [line[5:].strip() for line in event.splitlines() if line.startswith(b"data:")]
            if data and data != [b"[DONE]"]:
                self.judge(exchange, "event", b"\n".join(data))

    def answered(self, exchange):
        if not exchange.is_stream and exchange.messages is None:
            self.judge(exchange, "answer" if exchange.status < 400 else "error", exchange.answer)

    def take(self):
        """The verdicts since the last call."""
        taken, self.verdicts = self.verdicts, []
        return taken

    async def serve(self):
        server = await asyncio.start_server(self.connect, "127.0.0.1", self.port, limit=1 << 20)
        async with server:
            await server.serve_forever()

    def start(self):
        """Serves in a thread of its own, for good."""
        threading.Thread(target=lambda: asyncio.run(self.serve()), daemon=True).start()
        return self

    async def connect(self, reader, writer):
        first = await reader.read(65536)
        if first.startswith(b"GET /_witness "):
            body = json.dumps({"verdicts": self.take(), "seen": self.seen}).encode()
            head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
            writer.write(head % len(body) + body)
            writer.close()
            return
        try:
            there, to_there = await asyncio.open_connection("127.0.0.1", self.target_port)
        except OSError:
            writer.transport.abort()
            return
        connection = Connection(self)
        asks = asyncio.create_task(self.pump(reader, to_there, connection.request, first))
        answers = asyncio.create_task(self.pump(there, writer, connection.response))
        await asyncio.wait([asks, answers], return_when=asyncio.FIRST_COMPLETED)
        # Whoever leaves, the other one sees it at once.
        asks.cancel(), answers.cancel()
        for side in (writer, to_there):
            side.close()

    async def pump(self, reader, writer, read_along, data=None):
        try:
            while data := data or await reader.read(65536):
                try:
                    read_along(data)
                except h11.ProtocolError as error:
                    self.verdicts.append(f"{self.role}: {error}")
                writer.write(data)
                await writer.drain()
                data = None
        except OSError:
            pass


def main():
    for role, port, target_port in zip(*[iter(sys.argv[1:])] * 3):
        Witness(role, int(port), int(target_port)).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
