"""What the tests of deploy/ share: where things are, how they are read."""

import os
import pathlib
import subprocess

import yaml

DEPLOY = pathlib.Path(__file__).resolve().parents[1]
ROOT = DEPLOY.parent
BIN = ROOT / ".venv/bin"
WAYPOST = os.environ.get("WAYPOST_BIN", str(ROOT / "target/debug/waypost"))


def run(*command, **options):
    """Runs it; what it says is shown where it fails."""
    ran = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **options)
    assert ran.returncode == 0, f"{command}: {ran.stdout}{ran.stderr}"
    return ran


def documents(text):
    return [document for document in yaml.safe_load_all(text) if document]


def check(config, folder):
    """`waypost check` of a configuration; no warning either."""
    (folder / "waypost.yaml").write_text(config)
    keys = {"OPENAI_API_KEY": "k1", "ANTHROPIC_API_KEY": "k2", "WAYPOST_ADMIN_TOKEN": "0123456789abcdef0123"}
    ran = subprocess.run([WAYPOST, "check", "waypost.yaml"], cwd=folder, env=keys, capture_output=True, text=True, check=False)
    assert ran.returncode == 0 and "0 warnings" in ran.stdout, ran.stdout + ran.stderr
