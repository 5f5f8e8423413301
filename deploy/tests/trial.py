"""The image's files at work, in the place of a container engine: `trial.py ROOTFS CONFIG.json`, as root.

Runs itself in namespaces of its own (mounts, network, processes), where nothing but loopback can be reached; makes the
files read-only, changes the root to them, gives all rights away, and starts what the image starts. Providers are looked
up by a name server of its own. Prints what it saw as JSON.
"""

import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

# By the name server, and by /etc/hosts.
CONFIG = """
listeners: {egress_traffic: {address: 0.0.0.0, port: 12000}}
model_providers:
  - {model: openai/by-name, access_key: $OPENAI_API_KEY, base_url: "http://provider.test:12080", default: true}
  - {model: house/by-file, access_key: $OPENAI_API_KEY, base_url: "http://in-hosts:12080", provider_interface: openai_chat}
"""


def name_server():
    """Answers every question for an address with 127.0.0.1 (RFC 1035)."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listening.bind(("127.0.0.1", 53))

    def serve():
        while True:
            asked, sender = listening.recvfrom(512)
            end = asked.index(0, 12) + 5
            question, kind = asked[12:end], asked[end - 4 : end - 2]
            answers = int(kind == b"\x00\x01")
            head = asked[:2] + struct.pack("!HHHHH", 0x8180, 1, answers, 0, 0)
            answer = b"\xc0\x0c\x00\x01\x00\x01" + struct.pack("!IH", 60, 4) + bytes([127, 0, 0, 1])
            listening.sendto(head + question + answer * answers, sender)

    threading.Thread(target=serve, daemon=True).start()


def start(root, config, arguments, env):
    """As a container engine does: the image's user, no rights, its folder, its variables and no others."""
    uid, _, gid = config["User"].partition(":")
    changed = [sys.executable, "-c", CHANGE, root, config["WorkingDir"], uid, gid, *config["Entrypoint"], *arguments]
    return subprocess.Popen(changed, env=dict(env), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


# Root, folder, user, group, program: nothing of the outside is left when the program starts.
CHANGE = """
import ctypes, os, sys
root, folder, uid, gid, *program = sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)
os.chroot(root); os.chdir(folder)
for right in range(64):
    libc.prctl(24, right, 0, 0, 0)
os.setgroups([]); os.setgid(int(gid)); os.setuid(int(uid))
assert libc.prctl(38, 1, 0, 0, 0) == 0
os.execve(program[0], program, os.environ)
"""


def ask(path, body=None):
    request = urllib.request.Request(f"http://127.0.0.1:12000{path}", body and json.dumps(body).encode())
    request.add_header("content-type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def ready(path, url):
    for _ in range(300):
        try:
            urllib.request.urlopen(url, timeout=1).read()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"{path} does not answer at {url}")


def inside(root, config):
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    etc = pathlib.Path(root) / "etc"
    # What Kubernetes or an engine puts there.
    (etc / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    (etc / "hosts").write_text("127.0.0.1 localhost in-hosts\n")
    (etc / "waypost/waypost.yaml").write_text(CONFIG)
    (etc / "waypost/.env").write_text("OPENAI_API_KEY=sk-trial\n")
    subprocess.run(["mount", "--bind", root, root], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", root], check=True)
    state = f"{root}/var/lib/waypost"
    uid = config["User"].partition(":")[0]
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"uid={uid},mode=0700", "tmpfs", state], check=True)
    name_server()
    env = [variable.split("=", 1) for variable in config["Env"]]
    echo = start(root, config, ["echo", "--listen", "127.0.0.1:12080"], env)
    ready("echo", "http://127.0.0.1:12080/_echo/health")
    gateway = start(root, config, config["Cmd"], env)
    ready("gateway", "http://127.0.0.1:12000/readyz")
    status = pathlib.Path(f"/proc/{gateway.pid}/status").read_text()
    facts = {line.split(":")[0]: line.split(":", 1)[1].split() for line in status.splitlines() if ":" in line}
    seen = {
        "uid": facts["Uid"],
        "rights": [facts[name][0] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")],
        "no_new_privs": facts["NoNewPrivs"],
        "mapped": sorted({line.split()[-1] for line in open(f"/proc/{gateway.pid}/maps") if "/" in line and ".so" in line}),
    }
    mounts = [line.split() for line in open(f"/proc/{gateway.pid}/mountinfo")]
    seen["mounts"] = {mount[4]: mount[5].split(",")[0] for mount in mounts}
    for name in ("by-name", "by-file"):
        body = {"model": name, "messages": [{"role": "user", "content": "Hello"}]}
        seen[name] = ask("/v1/chat/completions", body)
    gateway.send_signal(signal.SIGTERM)
    seen["said"] = gateway.communicate(timeout=60)[0].decode()
    seen["code"] = gateway.returncode
    seen["kept"] = sorted(os.listdir(state))
    echo.terminate()
    print(json.dumps(seen))


if __name__ == "__main__":
    rootfs, image = sys.argv[1:3]
    if len(sys.argv) == 3:
        again = [sys.executable, __file__, rootfs, image, "inside"]
        unshare = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", *again]
        raise SystemExit(subprocess.run(unshare, check=False).returncode)
    inside(rootfs, json.loads(pathlib.Path(image).read_text())["config"])
