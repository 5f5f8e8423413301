"""Writes docs/reference/routing-quality.md and reliability.svg: how often the embedded router is right, how far its
confidence can be believed, and how fast it is.

    python training/quality.py --waypost target/release/waypost --suite NAME=FOLDER [--suite …]

Each suite is a folder in the format that training/README.md describes; figures come from `waypost routes test --suite`,
the same code that serves. Latencies are taken on the machine that runs it, one decision at a time.
"""

import argparse
import json
import pathlib
import platform
import subprocess
import tempfile

import reliability
from examples import with_examples

ROOT = pathlib.Path(__file__).resolve().parents[1]
WORDS = (
    "please write explain compare the a short report on how to repair garden tools when they rust and which oil helps "
    "against water in winter for people who live near the sea and have little time"
).split()


def measure(waypost, folder, *options):
    done = subprocess.run([waypost, "routes", "test", "--suite", folder, "--json", *options], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def percent(value):
    return "–" if value is None else f"{100 * value:.1f}"


def quality_row(name, router, shots, report):
    macro, other = report["macro"], report["other"]
    cells = [macro["turn_accuracy"], macro["in_scope_accuracy"], macro["span_accuracy"], macro["conversation_accuracy"],
             other["precision"], other["recall"], other["f1"], report["ece"]]
    return f"| {name} | {router} | {shots} | " + " | ".join(percent(cell) for cell in cells) + " |"


def synthetic(routes, words):
    """A suite of one group: prompts of so many words among so many routes. Only its latencies are looked at."""
    folder = pathlib.Path(tempfile.mkdtemp())
    texts = [{"name": f"topic {i}", "description": f"{WORDS[i % len(WORDS)]} and {WORDS[(i * 7 + 3) % len(WORDS)]} number {i}"} for i in range(routes)]
    (folder / "routes.jsonl").write_text(json.dumps({"set": "s", "group": "g", "source": "synthetic", "license": "CC0", "multi_turn": False, "routes": texts}) + "\n")
    lines = []
    for number in range(400):
        text = " ".join([str(number)] + [WORDS[(number * 5 + i * (1 + number % 11)) % len(WORDS)] for i in range(words)])
        lines.append(json.dumps({"id": str(number), "set": "s", "messages": [{"role": "user", "content": text, "route": "topic 0"}]}))
    (folder / "g.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def latency_row(waypost, routes, words):
    folder = synthetic(routes, words)
    cells = []
    for options in ([], ["--router", "static"]):
        latency = measure(waypost, folder, *options)["latency_ms"]
        cells += [f"{latency['p50']:.2f}", f"{latency['p99']:.2f}"]
    return f"| {routes} | {words} | " + " | ".join(cells[2:] + cells[:2]) + " |"


def processor():
    """Its name, and the widest instructions that the encoder can use there."""
    known = dict(line.split(":", 1) for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines() if ":" in line)
    known = {name.strip(): value.strip() for name, value in known.items()}
    flags = known.get("flags", "").split()
    width = next((name for flag, name in (("avx512bw", "AVX-512"), ("avx2", "AVX2")) if flag in flags), "neither AVX2 nor AVX-512")
    return f"{known.get('model name', platform.processor())} with {width}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--waypost", required=True)
    parser.add_argument("--suite", action="append", required=True, help="NAME=FOLDER")
    args = parser.parse_args()
    suites = [suite.split("=", 1) for suite in args.suite]
    rows, groups, seconds = [], [], {}
    plots = {"static tier": [], "both tiers": []}
    for name, folder in suites:
        both = measure(args.waypost, folder)
        rows.append(quality_row(name, "both tiers", 0, both))
        static = measure(args.waypost, folder, "--router", "static")
        rows.append(quality_row(name, "static tier", 0, static))
        plots["static tier"].append((name, static["reliability"]))
        plots["both tiers"].append((name, both["reliability"]))
        shots = with_examples(folder)
        rows.append(quality_row(name, "both tiers", 5, measure(args.waypost, shots, "--shots", "5")))
        rows.append(quality_row(name, "static tier", 5, measure(args.waypost, shots, "--shots", "5", "--router", "static")))
        for share in ("0.93",):
            cascade = measure(args.waypost, folder, "--simulated-router", share)
            rows.append(quality_row(name, f"cascade, simulated router model right {float(share) * 100:.0f} % of the time, asked for {percent(cascade['escalated'])} %", 0, cascade))
        seconds[name] = both["latency_ms"]["mean"]
        groups += [
            f"| {name} | {group} | {row['turns']} | {percent(row['turn_accuracy'])} | {percent(row['in_scope_accuracy'])} | {percent(row['span_accuracy'])} |"
            for group, row in both["groups"].items()
        ]
    latencies = [latency_row(args.waypost, routes, words) for routes, words in ((4, 8), (4, 25), (4, 50), (4, 400), (20, 25), (100, 25))]
    sizes = {file.name: file.stat().st_size for file in sorted((ROOT / "crates/routing/model").iterdir()) if file.suffix == ".safetensors"}
    hundred = ", ".join(f"{name} {100_000 * mean / 1000 / 60:.0f} minutes" for name, mean in seconds.items())
    page = f"""# Routing quality

Made by `training/quality.py` from labelled conversations; `waypost routes test --suite FOLDER` prints the same for yours. Percentages; plain mean over the groups of a suite; every turn of the person is decided with what stands before it. `turn` counts "none fits" (`other`) as a route, `in-scope` takes the best route always, `span` and `conversation` want all turns of a stretch or a conversation. `other` is over the groups that have such turns. `ECE` is the expected calibration error over all turns, 15 bins. Where routes come without examples, first asks of up to half of the conversations serve as theirs and are left out: rows with examples are of fewer turns, of which more are `other`.

| suite | router | examples a route | turn | in-scope | span | conversation | other P | other R | other F1 | ECE |
| --- | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: |
{chr(10).join(rows)}

What each suite is, and which data was trained, fitted or only looked at: [the model's card](../../crates/routing/model/README.md) and [the training recipe](../../training/README.md). **Development** shares its sources with the training data and flatters. **Validation** comes from sources that no model saw, but the few fitted numbers were chosen on it. **Judging** was neither trained nor fitted on.

## Confidence

![What the router states against what is right, for each tier and suite](reliability.svg)

A point is a fifteenth of the range of confidence, as large as its share of the turns; on the dashed line what is stated is so, below it the router claims too much. No examples.

## By group

Both tiers, no examples.

| suite | group | turns | turn | in-scope | span |
| --- | --- | --: | --: | --: | --: |
{chr(10).join(groups)}

## Time

One decision on one core of {processor()}, milliseconds, prompts never seen before (an earlier turn that comes again is remembered). Of long prompts the encoder reads 64 tokens, head and tail. With AVX2 alone it takes as long, [measured apart](../decisions/0005-an-encoder-of-our-own.md).

| routes | words | static p50 | static p99 | both p50 | both p99 |
| --: | --: | --: | --: | --: | --: |
{chr(10).join(latencies)}

100,000 decisions like those of the suites cost one core: {hundred}. No request leaves the process.

## Size

{chr(10).join(f"- `{name}`: {size / 1e6:.1f} MB" for name, size in sizes.items())}

## Limits

English only. Text only: images, audio, tools and system prompts are no routing signals. Thirty narrow routes at a time, and pasted material longer than 64 tokens around an unusual ask, are where it is most often wrong. "None fits" is the hardest label: it depends on what the operator left out.
"""
    (ROOT / "docs/reference/routing-quality.md").write_text(page)
    (ROOT / "docs/reference/reliability.svg").write_text(reliability.plot(list(plots.items())))


if __name__ == "__main__":
    main()
