"""`waypost init` on a terminal, and `waypost run` around a program that uses the SDKs as they come."""

import os
import pty
import re
import select
import subprocess
import sys

from conftest import KEYS, binary

# No address, no key: what `waypost run` sets is all that there is.
PROGRAM = """
import anthropic, openai
from google import genai

chat = openai.OpenAI().chat.completions.create(model="auto", messages=[{"role": "user", "content": "Hello"}])
print("openai", chat.choices[0].message.content)
message = anthropic.Anthropic().messages.create(model="auto", max_tokens=99, messages=[{"role": "user", "content": "Hello"}])
print("anthropic", message.content[0].text)
google = genai.Client()
print("google", google.models.generate_content(model="auto", contents="Hello").text)
"""


def run(folder, *arguments):
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), **KEYS}
    return subprocess.run(
        [binary(), "run", *arguments], cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False
    )


def test_sdks_find_the_gateway_by_what_run_sets(gateway, tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    ran = run(tmp_path, "--url", gateway.url, "--", sys.executable, "program.py")
    assert ran.returncode == 0, ran.stderr
    for sdk in ["openai", "anthropic", "google"]:
        assert re.search(rf"^{sdk} \S", ran.stdout, re.MULTILINE), ran.stdout + ran.stderr
    assert not any(key in ran.stdout + ran.stderr for key in KEYS.values())


def test_a_program_keeps_its_terminal(gateway, tmp_path):
    """Ctrl-C reaches the program and not the gateway around it; the program's own end is that of `waypost run`."""
    yaml = f"model_providers:\n  - {{model: openai/m, access_key: $OPENAI_API_KEY, base_url: '{gateway.url}', default: true}}\n"
    (tmp_path / "waypost.yaml").write_text(yaml + "listeners: {egress_traffic: {port: 1}}\n")
    script = "trap 'echo caught; exit 5' INT; test -t 0 && echo terminal; while :; do read line; done"
    with Terminal([binary(), "run", "--", "sh", "-c", script], tmp_path) as terminal:
        terminal.says("terminal")
        terminal.types("\x03")
        terminal.says("caught")
        assert terminal.ends() == 5


def test_init_asks(tmp_path):
    with Terminal([binary(), "init"], tmp_path) as terminal:
        terminal.says("What is it for?")
        terminal.types("\x1b[B\r")
        terminal.says("Which providers?")
        # Those whose key is set are chosen already.
        terminal.types("\r")
        terminal.says("wrote waypost.yaml")
        assert terminal.ends() == 0
        assert not any(key in terminal.seen for key in KEYS.values())
    written = (tmp_path / "waypost.yaml").read_text()
    assert "Cheap by default" in written and "$OPENAI_API_KEY" in written and "$ANTHROPIC_API_KEY" in written
    checked = subprocess.run(
        [binary(), "check", "waypost.yaml"], cwd=tmp_path, env=KEYS, capture_output=True, text=True, timeout=60, check=False
    )
    assert checked.returncode == 0 and "0 warnings" in checked.stdout, checked.stderr


def test_init_takes_a_configuration_of_plano_s(tmp_path):
    plano = "version: v0.4.0\nllm_providers:\n  - {model: openai/gpt-5.2, access_key: $OPENAI_API_KEY, default: true}\n"
    (tmp_path / "plano_config.yaml").write_text(plano)
    with Terminal([binary(), "init"], tmp_path) as terminal:
        terminal.says("What is it for?")
        # Upwards is the last.
        terminal.types("\x1b[A\r")
        terminal.says("plano_config.yaml")
        terminal.types("\r")
        terminal.says("wrote waypost.yaml")
        assert terminal.ends() == 0
    checked = subprocess.run(
        [binary(), "check", "waypost.yaml"], cwd=tmp_path, env=KEYS, capture_output=True, text=True, timeout=60, check=False
    )
    assert checked.returncode == 0 and "0 warnings" in checked.stdout, checked.stderr


def test_init_writes_nothing_if_nothing_is_chosen(tmp_path):
    with Terminal([binary(), "init"], tmp_path) as terminal:
        terminal.says("What is it for?")
        terminal.types("\x1b")
        assert terminal.ends() == 1
    assert not (tmp_path / "waypost.yaml").exists()


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, command, folder):
        self.seen = ""
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execve(command[0], command, {"PATH": os.environ["PATH"], "TERM": "xterm", "HOME": str(folder), **KEYS})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.master)

    def says(self, words):
        """Reads until the words are there."""
        while words not in self.seen:
            ready, _, _ = select.select([self.master], [], [], 30)
            assert ready, f"{words} is not said: {self.seen}"
            try:
                piece = os.read(self.master, 65536)
            except OSError:
                piece = b""
            assert piece, f"{words} is not said: {self.seen}"
            self.seen += piece.decode(errors="replace")

    def types(self, keys):
        os.write(self.master, keys.encode())

    def ends(self):
        """Its exit code."""
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)
