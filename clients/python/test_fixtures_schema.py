"""What the golden fixtures translate to, against the schemas that the providers publish."""

import json

import pytest

import official
from conftest import ROOT

FIXTURES = ROOT / "crates/dialect/tests/fixtures"
# A snapshot's name: what it holds.
WHAT = {"request": "request", "response": "answer", "stream": "event", "error": "error"}
SNAPSHOTS = sorted(FIXTURES.glob("*/*/*_to_*.snap"))


def translated(path):
    """The dialect and the values of a snapshot: one body, or the events of a stream; none where nothing is written."""
    what, dialect = path.stem.split("_to_")
    _, _, text = path.read_text().split("---\n", 2)
    if what != "stream":
        # A body that says what has gone wrong is an error, whatever its status was.
        what = "error" if text.startswith("reported: ApiError") else what
        at = text.find("\n{")
        return dialect, WHAT[what], [json.JSONDecoder().raw_decode(text, at + 1)[0]] if at >= 0 else []
    data = [line[6:] for line in text.splitlines() if line.startswith("data: ")]
    return dialect, "event", [json.loads(line) for line in data if line != "[DONE]"]


@pytest.mark.parametrize("path", SNAPSHOTS, ids=lambda path: "/".join(path.with_suffix("").parts[-3:]))
def test_translations(path):
    dialect, what, values = translated(path)
    for value in values:
        faults = official.faults(dialect, what, value)
        assert not faults, f"no {what} of {dialect}: {faults}\n{json.dumps(value)[:2000]}"


def test_there_are_translations():
    assert len(SNAPSHOTS) > 400
    assert sum(len(translated(path)[2]) for path in SNAPSHOTS) > 1000
