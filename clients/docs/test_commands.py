"""Every line of the documentation that a shell would run is run, but for those of NOT_RUN, each with its reason."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from conftest import BINARY, KEYS, ROOT, blocks, free_port

COMPILES = "compiles in a profile of its own; what it makes is what the tests run"
TERMINAL = "wants a terminal; clients/python runs it on one"
CLUSTER = "wants a cluster; deploy/tests/test_guides.py runs the line as far as it goes without one"
ROOT_AND_SYSTEMD = "changes the system that it is run on; deploy/tests runs the unit"
OTHERS = "another project's program, with a model of gigabytes"
DATA = "wants data that is not part of the repository, or hours of a processor"

# What is not run, by the page and how the line begins, and why.
NOT_RUN = {
    ("CONTRIBUTING.md", "cargo"): "compiles for minutes, and more than once; CI has steps of its own for these",
    ("CONTRIBUTING.md", "UPDATE=1 cargo"): "writes into the repository",
    ("CONTRIBUTING.md", "./test"): "is what runs this",
    ("CONTRIBUTING.md", "target/debug/chaos"): "takes a minute to hours; `./test chaos` runs the first",
    ("README.md", "cargo run --release -- demo"): COMPILES,
    ("README.md", "cargo install"): COMPILES,
    ("README.md", "./test"): "is what runs this",
    ("README.md", "waypost init"): TERMINAL,
    ("README.md", "waypost obs"): TERMINAL,
    ("docs/quickstart.md", "cargo run --release -- demo"): COMPILES,
    ("docs/quickstart.md", "cargo install"): COMPILES,
    ("docs/guides/logs-and-cost.md", "waypost obs"): TERMINAL,
    ("docs/guides/arch-router.md", "vllm serve"): OTHERS,
    ("docs/guides/arch-router.md", "llama-server"): OTHERS,
    ("docs/guides/arch-router.md", "ollama pull"): OTHERS,
    ("docs/guides/kubernetes.md", "kubectl"): CLUSTER,
    ("docs/guides/kubernetes.md", "helm"): CLUSTER,
    ("docs/guides/deploying.md", "rustup component"): "changes the toolchain that it is run with",
    ("docs/guides/deploying.md", "cargo run --package xtask -- pgo"): "compiles the program twice, for a quarter of an hour",
    ("docs/guides/deploying.md", "install"): ROOT_AND_SYSTEMD,
    ("docs/guides/deploying.md", "waypost man"): ROOT_AND_SYSTEMD,
    ("docs/guides/deploying.md", "systemctl"): ROOT_AND_SYSTEMD,
    ("docs/guides/deploying.md", "podman"): "wants an image from a registry to compile in; deploy/tests/test_container.py builds what follows",
    ("docs/guides/deploying.md", "deploy/container/build"): "compiles; deploy/tests/test_container.py runs it",
    ("docs/guides/deploying.md", "skopeo"): "wants a registry",
    ("docs/guides/measure.md", "waypost bench --url"): "wants another gateway",
    ("docs/guides/postgres.md", "waypost schema --postgres | psql"): "wants a server; clients/postgres runs the statements",
    ("crates/routing/data/README.md", "cargo run --package xtask"): DATA,
    ("training/README.md", "python"): DATA,
    ("training/README.md", "pip install"): DATA,
}
# Exit codes that say something: `diff` has found a change, too much has moved, the provider has answered as it was told to.
EXITS = {
    ("docs/guides/operating.md", "waypost diff"): 1,
    ("docs/guides/echo.md", "curl"): 22,
    ("docs/guides/corrections.md", "waypost replay --against new.yaml --max-moved"): 1,
}
# What does not end by itself, and what it says when it has begun.
STAYS = {
    "waypost up": "listening",
    "waypost echo": "echo provider on",
    "waypost logs -f": "400",
    "waypost bench --mock": "12081",
}


def lines(text):
    """The lines of a block, those that go on joined, without comments."""
    for line in text.replace("\\\n", " ").splitlines():
        line = re.sub(r"(^|\s)#(\s.*)?$", "", line).strip()
        if line:
            yield line


def row(table, page, line):
    """The key of a table that is about this line."""
    matching = [key for key in table if key[0] == page and line.startswith(key[1])]
    return max(matching, key=lambda key: len(key[1]), default=None)


BLOCKS = blocks("console", "sh")
RUN = [block for block in BLOCKS if any(row(NOT_RUN, block.values[0], line) is None for line in lines(block.values[1]))]


@pytest.fixture
def place(running, tmp_path):
    """A folder as a reader would have it: a configuration, another one, conversations, the programs that are named."""
    (tmp_path / "waypost.yaml").write_text(running.config(free_port(), free_port(), tmp_path))
    new = running.config(free_port(), free_port(), tmp_path).replace("models: [gpt-5.2]", "models: [anthropic/claude-sonnet-4-5]")
    (tmp_path / "new.yaml").write_text(new)
    labelled = [{"prompt": "Plan a week in Rome", "route": "travel"}, {"prompt": "Explain this loop", "route": "code understanding"}]
    for name in ["labelled.jsonl", "more.jsonl", "conversations.jsonl"]:
        (tmp_path / name).write_text("".join(json.dumps(line) + "\n" for line in labelled * 10))
    (tmp_path / "app.py").write_text("import os\nassert os.environ['OPENAI_BASE_URL']\n")
    plano = "llm_providers:\n  - {model: openai/gpt-5.2, access_key: $OPENAI_API_KEY, default: true}\n"
    (tmp_path / "plano_config.yaml").write_text(plano)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "deploy").symlink_to(ROOT / "deploy")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "waypost").symlink_to(BINARY)
    (programs / "python").symlink_to(sys.executable)
    # The agents themselves are run by clients/agents.
    for agent, variable in [("claude", "ANTHROPIC_BASE_URL"), ("codex", "PATH")]:
        (programs / agent).write_text(f'#!/bin/sh\ntest -n "${variable}"\n')
        (programs / agent).chmod(0o755)
    (programs / "curl").write_text(f'#!/bin/sh\nexec {shutil.which("curl")} -sS --fail-with-body "$@"\n')
    (programs / "curl").chmod(0o755)
    return tmp_path


def environment(place):
    path = f"{place}/bin:{os.environ['PATH']}"
    return {"PATH": path, "HOME": str(place), "KEY": "own", "AWS_REGION": "eu-central-1", **KEYS}


@pytest.mark.parametrize(("page", "text"), RUN)
def test_lines_run(page, text, running, place):
    script = []
    for line in lines(text):
        if row(NOT_RUN, page, line):
            continue
        stays = next((said for start, said in STAYS.items() if line.startswith(start)), None)
        if stays:
            begins(line, stays, running, place)
            continue
        if line.startswith("waypost init"):
            (place / "waypost.yaml").unlink()
        if line.startswith("waypost bench"):
            line += " --duration 100ms" + ("" if "--rounds" in line else " --rounds 1")
        script.append(line)
        done = subprocess.run(
            ["bash", "-euc", running.placed("\n".join([*remembered(script[:-1]), line]))],
            cwd=place, env=environment(place), capture_output=True, text=True, timeout=300, check=False,
        )
        expected = EXITS.get(row(EXITS, page, line), 0)
        assert done.returncode == expected, f"{line}\n{done.stdout}{done.stderr}"


def remembered(script):
    """What earlier lines of the same shell leave to later ones."""
    return [line for line in script if line.startswith("eval ")]


def begins(line, said, running, place):
    """A line that does not end by itself has begun when it says so."""
    # The pages' own ports, where the test's gateway has them already.
    line = re.sub(r"127\.0\.0\.1:12080", f"127.0.0.1:{free_port()}", line)
    output = place / "output.txt"
    with open(output, "w") as file:
        process = subprocess.Popen(
            ["bash", "-c", f"exec {line}"], cwd=place, env=environment(place), stdout=file, stderr=file)
        try:
            end = time.monotonic() + 30
            while said not in output.read_text():
                assert process.poll() is None and time.monotonic() < end, f"{line}\n{output.read_text()}"
                time.sleep(0.05)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()


@pytest.mark.parametrize("table", [NOT_RUN, EXITS], ids=["not run", "exits"])
def test_no_row_is_stale(table):
    used = {row(table, page, line) for page, text in (block.values for block in BLOCKS) for line in lines(text)}
    assert set(table) - used == set()


def test_what_stays_is_still_there():
    every = [line for block in BLOCKS for line in lines(block.values[1])]
    assert [start for start in STAYS if not any(line.startswith(start) for line in every)] == []


@pytest.mark.parametrize(("page", "text"), blocks("json"))
def test_json_blocks_are_json(page, text):
    try:
        json.loads(text)
    except json.JSONDecodeError:
        # A line of a larger object, or an object a line.
        for line in text.strip().splitlines():
            json.loads(f"{{{line}}}" if line.startswith('"') else line)


@pytest.mark.parametrize(("page", "text"), blocks("toml"))
def test_toml_blocks_are_toml(page, text):
    tomllib = pytest.importorskip("tomllib", reason="Python before 3.11 reads no TOML")
    assert tomllib.loads(text)
