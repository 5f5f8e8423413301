"""Routes labelled conversations through the front door of the real binary: `waypost routes test --suite FOLDER`, over HTTP.

    WAYPOST_BIN=target/release/waypost python3 clients/evaluate.py FOLDER [GROUP …]

FOLDER has the format that training/README.md describes. Each turn of the person becomes one
`POST /routing/v1/chat/completions`; the whole is done twice, the second time with the routes in reverse order, and has
to come out the same. Prints turn accuracy (`other` counted as a route) and the decision's own time. Standard library
only.
"""

import http.client
import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time

BINARY = os.path.abspath(os.environ.get("WAYPOST_BIN", "target/debug/waypost"))


def configuration(routes, port):
    """One model a route and a default, none of which is ever called. JSON is YAML."""
    provider = {"base_url": "http://127.0.0.1:1", "access_key": "unused"}
    models = [{"model": "openai/default", "default": True, **provider}]
    models += [{"model": f"openai/model-{number}", **provider} for number in range(len(routes))]
    preferences = [
        {"name": route["name"], "description": route["description"], "models": [f"openai/model-{number}"]}
        for number, route in enumerate(routes)
    ]
    listener = {"egress_traffic": {"address": "127.0.0.1", "port": port}}
    return json.dumps({"listeners": listener, "model_providers": models, "routing_preferences": preferences})


class Gateway:
    def __init__(self, routes):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.folder = tempfile.TemporaryDirectory()
        path = pathlib.Path(self.folder.name, "waypost.yaml")
        path.write_text(configuration(routes, port))
        self.process = subprocess.Popen(
            [BINARY, "up", str(path), "--log-format", "off"], stderr=subprocess.PIPE, text=True
        )
        for line in self.process.stderr:
            if line.startswith("ready"):
                break
        else:
            raise SystemExit("the gateway did not start")
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def route(self, messages):
        body = json.dumps({"messages": messages})
        self.connection.request("POST", "/routing/v1/chat/completions", body, {"content-type": "application/json"})
        answer = self.connection.getresponse()
        page = json.loads(answer.read())
        assert answer.status == 200, page
        return page["route"] or "other", page["decision_ms"]

    def stop(self):
        self.connection.close()
        self.process.terminate()
        assert self.process.wait(20) == 0, "the gateway did not end well"


def conversations(file):
    for line in file.open():
        yield json.loads(line)


def run(sets, rows, reverse):
    """(set, predicted, label, milliseconds) of every turn of the person."""
    results, gateways = [], {}
    for row in rows:
        if row["set"] not in gateways:
            routes = sets[row["set"]]
            gateways[row["set"]] = Gateway(routes[::-1] if reverse else routes)
        plain = [{"role": message["role"], "content": message["content"]} for message in row["messages"]]
        for turn, message in enumerate(row["messages"]):
            if message["role"] == "user":
                predicted, took = gateways[row["set"]].route(plain[: turn + 1])
                results.append((predicted, message["route"], took))
    for gateway in gateways.values():
        gateway.stop()
    return results


def main():
    folder, only = pathlib.Path(sys.argv[1]), sys.argv[2:]
    sets = {row["set"]: row["routes"] for row in conversations(folder / "routes.jsonl")}
    print(f"{'group':22} {'turns':>6} {'accuracy':>9} {'p50 ms':>8} {'p99 ms':>8} {'requests/s':>11}")
    for file in sorted(folder.glob("*.jsonl")):
        if file.stem == "routes" or (only and file.stem not in only):
            continue
        rows, started = list(conversations(file)), time.monotonic()
        results = run(sets, rows, reverse=False)
        rate = len(results) / (time.monotonic() - started)
        turned = run(sets, rows, reverse=True)
        assert [row[:2] for row in turned] == [row[:2] for row in results], "the order of the routes mattered"
        times = sorted(row[2] for row in results)
        accuracy = statistics.mean(predicted == label for predicted, label, _ in results)
        p99 = times[min(len(times) - 1, len(times) * 99 // 100)]
        print(f"{file.stem:22} {len(results):6} {accuracy:9.3f} {times[len(times) // 2]:8.3f} {p99:8.3f} {rate:11.0f}")


if __name__ == "__main__":
    main()
