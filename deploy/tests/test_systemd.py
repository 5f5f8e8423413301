"""The units, by systemd's own checkers."""

import configparser
import re

import pytest

from files import DEPLOY, WAYPOST, run

UNITS = DEPLOY / "systemd"
# Of ten: what a service with all rights has is 9.6, what is called OK ends at 4.
MOST_EXPOSED = 15


@pytest.fixture
def units(tmp_path):
    """The units with a program that is there."""
    for path in UNITS.iterdir():
        text = path.read_text().replace("/usr/local/bin/waypost", WAYPOST)
        (tmp_path / path.name).write_text(text)
    return tmp_path


def test_units_are_valid(units):
    checked = run("systemd-analyze", "verify", "--man=no", units / "waypost.service", units / "waypost.socket")
    assert "waypost" not in checked.stderr, checked.stderr


def test_the_service_has_few_rights(units):
    run("systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSED}", units / "waypost.service")


def test_the_service_has_time_to_drain():
    text = (UNITS / "waypost.service").read_text()
    grace = int(re.search(r"--grace (\d+)s", text)[1])
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read_string(text)
    assert int(unit["Service"]["TimeoutStopSec"]) >= grace + 5
    # crates/gateway/tests/it/process.rs: it is told when the gateway is ready.
    assert unit["Service"]["Type"] == "notify"
    assert unit["Service"]["StateDirectory"] == "waypost"
