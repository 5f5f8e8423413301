"""`waypost obs` in a real terminal: it shows what comes, obeys keys, costs nothing when idle, and leaves the terminal
as it was."""

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
import urllib.request

import conftest
import pyte
import pytest

CONFIG = """
listeners: {{egress_traffic: {{port: {port}}}}}
admin: {{port: 0}}
model_providers:
  - {{model: openai/gpt-5.2, access_key: $OPENAI_API_KEY, base_url: {echo}, cost: {{input: 1, output: 2}}}}
  - {{model: anthropic/claude-sonnet-4-5, access_key: $ANTHROPIC_API_KEY, base_url: {echo}, default: true}}
log: {{path: records.db}}
"""


class Terminal:
    """A program in a terminal of 80 by 24, and all that it has written."""

    def __init__(self, folder, *arguments, controls=True):
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.before = termios.tcgetattr(self.slave)
        environment = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", **conftest.KEYS}
        self.process = subprocess.Popen(
            [conftest.binary(), *arguments],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            cwd=folder,
            env=environment,
            start_new_session=True,
            # Whose terminal it is gets SIGHUP when that is closed.
            preexec_fn=(lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)) if controls else None,
        )
        self.written = ""
        self.screen = pyte.Screen(80, 24)
        self.stream = pyte.Stream(self.screen)

    def read(self, seconds):
        end = time.monotonic() + seconds
        new = ""
        while select.select([self.master], [], [], max(0, end - time.monotonic()))[0]:
            new += os.read(self.master, 65536).decode(errors="replace")
        self.written += new
        self.stream.feed(new)

    def shows(self, text):
        """Waits until it stands on the screen."""
        for _ in range(200):
            self.read(0.1)
            if any(text in line for line in self.screen.display):
                return
            assert self.process.poll() is None, f"ended early: {self.written[-2000:]!r}"
        raise AssertionError("\n".join([f"{text!r} is not shown:", *self.screen.display]))

    def press(self, keys):
        os.write(self.master, keys.encode())

    def close(self):
        os.close(self.slave)
        os.close(self.master)

    def processor_time(self):
        fields = open(f"/proc/{self.process.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.fixture
def place(gateway, tmp_path):
    port = conftest.free_port()
    (tmp_path / "waypost.yaml").write_text(CONFIG.format(port=port, echo=gateway.echo_url))
    running = conftest.Process(tmp_path, "watched", "up", "waypost.yaml")
    running.wait_for(f"http://127.0.0.1:{port}/readyz")
    yield tmp_path, port
    running.stop()


def ask(port, model):
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "Hello"}]}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/chat/completions", body, {"content-type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=20).read()


def test_requests_are_seen_as_they_come(place):
    folder, port = place
    terminal = Terminal(folder, "obs")
    terminal.shows("requests yet")
    ask(port, "gpt-5.2")
    terminal.shows("openai/gpt-5.2")
    ask(port, "claude-sonnet-4-5")
    terminal.shows("anthropic/claude")
    # Nobody asks: nothing is computed, but that the window slides.
    terminal.read(1.5)
    before = terminal.processor_time()
    terminal.read(3)
    assert terminal.processor_time() - before <= 0.3, "idle, and busy"
    terminal.press("\r")
    terminal.shows("attempts")
    terminal.press("\x1b")
    terminal.shows("Tab")
    terminal.press("/gpt\r")
    terminal.shows("/gpt")
    terminal.press(" ")
    terminal.shows("PAUSED")
    terminal.press("?")
    terminal.shows("pause,")
    # From the help as well.
    terminal.press("q")
    assert terminal.process.wait(10) == 0
    terminal.read(0.2)
    assert "\x1b[?1049h" in terminal.written and terminal.written.rstrip().endswith("\x1b[?25h")
    assert "\x1b[?1049l" in terminal.written
    assert termios.tcgetattr(terminal.slave) == terminal.before


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_it_gives_the_terminal_back_when_it_is_told_to_end(place, name):
    terminal = Terminal(place[0], "obs")
    terminal.shows("requests yet")
    assert termios.tcgetattr(terminal.slave) != terminal.before
    terminal.process.send_signal(getattr(signal, name))
    assert terminal.process.wait(10) == 0
    terminal.read(0.2)
    assert "\x1b[?1049l" in terminal.written and terminal.written.rstrip().endswith("\x1b[?25h")
    assert termios.tcgetattr(terminal.slave) == terminal.before


@pytest.mark.parametrize("controls", [True, False])
def test_it_ends_with_its_terminal(place, controls):
    terminal = Terminal(place[0], "obs", controls=controls)
    terminal.shows("requests yet")
    terminal.close()
    terminal.process.wait(10)


def test_without_a_terminal_it_says_what_else_there_is(place):
    folder, _ = place
    told = subprocess.run(
        [conftest.binary(), "obs"], cwd=folder, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=20
    )
    assert told.returncode == 1
    assert "waypost logs --follow" in told.stderr
