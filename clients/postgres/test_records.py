"""Records in a real Postgres server: all of them, over TLS too, and none lost while the server is away."""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PASSWORD = "pg-secret-5b1f"
CONFIG = """
listeners: {{egress_traffic: {{address: 127.0.0.1, port: {port}}}}}
model_providers:
  - {{model: openai/gpt-5.2, access_key: sk-test, base_url: '{echo}', default: true, cost: {{input: 1, output: 2}}}}
routing_preferences:
  - {{name: code, description: 'write and explain computer code', models: [gpt-5.2]}}
  - {{name: travel, description: 'plan a journey', models: [gpt-5.2]}}
log: {{records: false, postgres: $DATABASE_URL, content: full}}
"""


def free_port():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


def wait_for(what, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if found := what():
                return found
        except (OSError, subprocess.CalledProcessError):
            pass
        time.sleep(0.05)
    raise TimeoutError(what)


def tools():
    """The folder of the server's programs: Debian's, else where they are on the path."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
    initdb = shutil.which("initdb")
    assert found or initdb, "Postgres is not installed (Debian's package `postgresql`)"
    return found[-1] if found else pathlib.Path(initdb).parent


class Server:
    """A cluster of its own in a folder, run by a user who is not root, as the server wants it."""

    def __init__(self, folder):
        self.folder, self.port, self.bin = folder, free_port(), tools()
        self.user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if self.user:
            shutil.chown(folder, "postgres")
            # The folders above are of the test's own user.
            for above in folder.parents:
                if str(above).startswith("/tmp/"):
                    above.chmod(0o755)
        (folder / "password").write_text(PASSWORD)
        (folder / "password").chmod(0o644)
        self.run("initdb", "-D", folder / "data", "-U", "waypost", "--auth=scram-sha-256", f"--pwfile={folder}/password")
        def openssl(*arguments):
            subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=folder)

        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test", "-keyout", "ca-key.pem", "-out", "ca.pem")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "request.pem")
        (folder / "names").write_text("subjectAltName=DNS:localhost")
        openssl("x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial", "-days", "2",
                "-extfile", "names", "-out", "cert.pem")
        for name in ("key.pem", "cert.pem"):
            if self.user:
                shutil.chown(folder / name, "postgres")
        (folder / "key.pem").chmod(0o600)
        with open(folder / "data/postgresql.conf", "a") as conf:
            conf.write(f"\nport = {self.port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\nfsync = off\n"
                       f"ssl = on\nssl_cert_file = '{folder}/cert.pem'\nssl_key_file = '{folder}/key.pem'\n")
        self.start()

    def run(self, tool, *arguments):
        command = [*self.user, str(self.bin / tool), *map(str, arguments)]
        return subprocess.run(command, check=True, capture_output=True, text=True, cwd="/").stdout

    def start(self):
        self.run("pg_ctl", "-D", self.folder / "data", "-w", "-l", self.folder / "log", "start")

    def stop(self):
        self.run("pg_ctl", "-D", self.folder / "data", "-w", "-m", "immediate", "stop")

    def ask(self, query, database="postgres"):
        rows = subprocess.run(
            [str(self.bin / "psql"), "-h", "127.0.0.1", "-p", str(self.port), "-U", "waypost", "-d", database,
             "-v", "ON_ERROR_STOP=1", "-tAc", query],
            check=True, capture_output=True, text=True, env={**os.environ, "PGPASSWORD": PASSWORD}).stdout
        return rows.strip()

    def url(self, mode="disable", role="waypost", database="postgres"):
        return f"postgres://{role}:{PASSWORD}@localhost:{self.port}/{database}?sslmode={mode}"

    def database(self, name):
        """A database of its own, and a role that may connect to it and do nothing else."""
        self.ask(f"CREATE DATABASE {name}")
        self.ask(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'")
        return self.url(role=name, database=name)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("postgres"))
    yield server
    server.stop()


class Gateway:
    def __init__(self, folder, url, environment):
        binary = os.environ.get("WAYPOST_BIN", str(ROOT / "target/debug/waypost"))
        echo, self.port = free_port(), free_port()
        self.log = open(folder / "output.txt", "w+")
        self.echo = subprocess.Popen([binary, "echo", "--listen", f"127.0.0.1:{echo}"], stdout=self.log, stderr=self.log)
        wait_for(lambda: socket.create_connection(("127.0.0.1", echo)))
        config = folder / "waypost.yaml"
        config.write_text(CONFIG.format(port=self.port, echo=f"http://127.0.0.1:{echo}"))
        environment = {**os.environ, **environment, "DATABASE_URL": url, "XDG_STATE_HOME": str(folder)}
        self.process = subprocess.Popen([binary, "up", str(config)], stdout=self.log, stderr=self.log, env=environment)
        wait_for(lambda: urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz").status == 200)

    def ask(self, text):
        body = json.dumps({"messages": [{"role": "user", "content": text}]}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/v1/chat/completions", body, {"content-type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            return answer.headers["x-waypost-request-id"]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0
        self.echo.kill()
        self.log.seek(0)
        output = self.log.read()
        assert PASSWORD not in output
        return output


@pytest.mark.parametrize("mode", ["disable", "require"])
def test_every_record_arrives_as_it_is(server, tmp_path, mode):
    gateway = Gateway(tmp_path, server.url(mode), {"SSL_CERT_FILE": str(server.folder / "ca.pem")})
    asked = "explain this function with a null \0 in it"
    ids = [gateway.ask(asked) for _ in range(20)]
    gateway.stop()
    listed = ", ".join(f"'{one}'" for one in ids)
    assert server.ask(f"SELECT count(*) FROM waypost_records WHERE id IN ({listed})") == "20"
    columns = "status, method, route, model, record->>'provider', content->'turns'->0->>'text', cost > 0, total_ms > 0, now() - time < '5 min'"
    row = server.ask(f"SELECT {columns} FROM waypost_records WHERE id = '{ids[0]}'")
    shown = asked.replace("\0", "\ufffd")
    assert row == f"200|preference|code|openai/gpt-5.2|openai|{shown}|t|t|t"


def test_nothing_is_lost_while_the_server_is_away(server, tmp_path):
    gateway = Gateway(tmp_path, server.url("disable"), {})
    ids = [gateway.ask("one") for _ in range(5)]
    wait_for(lambda: server.ask(f"SELECT count(*) FROM waypost_records WHERE id = '{ids[-1]}'") == "1")
    server.stop()
    ids += [gateway.ask("two") for _ in range(50)]
    time.sleep(1)
    server.start()
    ids += [gateway.ask("three") for _ in range(5)]
    listed = ", ".join(f"'{one}'" for one in ids)
    wait_for(lambda: server.ask(f"SELECT count(*) FROM waypost_records WHERE id IN ({listed})") == str(len(ids)), 60)
    output = gateway.stop()
    assert output.count("records do not reach Postgres") == 1
    assert "records reach Postgres again" in output


def test_a_wrong_password_is_said_and_not_shown(server, tmp_path):
    gateway = Gateway(tmp_path, server.url("disable").replace(PASSWORD, "another-secret"), {})
    gateway.ask("one")
    wait_for(lambda: "records do not reach Postgres" in (tmp_path / "output.txt").read_text())
    output = gateway.stop()
    assert "password authentication failed" in output and "another-secret" not in output


def schema():
    """What an administrator is told to run."""
    binary = os.environ.get("WAYPOST_BIN", str(ROOT / "target/debug/waypost"))
    return subprocess.run([binary, "schema", "--postgres"], check=True, capture_output=True, text=True).stdout


def test_a_role_that_may_only_insert_is_enough(server, tmp_path):
    url = server.database("insert_only")
    printed = schema()
    grant = next(line for line in printed.splitlines() if "GRANT" in line).removeprefix("-- ")
    server.ask(printed + grant.replace("TO waypost", "TO insert_only"), "insert_only")
    gateway = Gateway(tmp_path, url, {})
    ids = [gateway.ask("one") for _ in range(5)]
    wait_for(lambda: server.ask("SELECT count(*) FROM waypost_records", "insert_only") == str(len(ids)))
    assert "Postgres" not in gateway.stop()


def test_an_earlier_table_and_columns_of_ones_own_will_do(server, tmp_path):
    url = server.database("earlier")
    made = schema() + "COMMENT ON TABLE waypost_records IS NULL; ALTER TABLE waypost_records ADD COLUMN team TEXT DEFAULT 'a';"
    server.ask(made + "GRANT INSERT ON waypost_records TO earlier", "earlier")
    gateway = Gateway(tmp_path, url, {})
    gateway.ask("one")
    wait_for(lambda: server.ask("SELECT team FROM waypost_records", "earlier") == "a")
    assert "Postgres" not in gateway.stop()


def test_a_table_that_is_divided_by_time_will_do(server, tmp_path):
    url = server.database("divided")
    divided = schema().replace("UUID PRIMARY KEY", "UUID").replace("content JSONB\n)", "content JSONB, PRIMARY KEY (id, time)) PARTITION BY RANGE (time)")
    divided += "CREATE TABLE waypost_records_all PARTITION OF waypost_records DEFAULT; GRANT INSERT ON waypost_records TO divided"
    server.ask(divided, "divided")
    gateway = Gateway(tmp_path, url, {})
    gateway.ask("one")
    wait_for(lambda: server.ask("SELECT count(*) FROM waypost_records", "divided") == "1")
    assert "Postgres" not in gateway.stop()


def test_the_guide_s_statements_run(server):
    server.ask("CREATE DATABASE guide")
    server.ask(schema(), "guide")
    statements = re.findall(r"^```sql\n(.*?)^```", (ROOT / "docs/guides/postgres.md").read_text(), re.M | re.S)
    assert len(statements) == 2
    for statement in statements:
        # The server's own user has the name of the guide's role.
        server.ask(re.sub(r"(ROLE|TO) waypost\b", r"\1 guide", statement), "guide")


@pytest.mark.parametrize(
    ("name", "before", "said"),
    [
        ("may_not_make", "", "cannot be made: permission denied for schema public (42501); an administrator makes it by what"),
        ("may_not_insert", "{schema}", "permission denied for table waypost_records (42501); an administrator lets the role insert"),
        ("newer", "{schema} COMMENT ON TABLE waypost_records IS 'format 7'", "made by a newer version of Waypost (format 7, this one knows 1)"),
    ],
)
def test_what_is_in_the_way_is_said_with_what_to_do(server, tmp_path, name, before, said):
    url = server.database(name)
    if before:
        server.ask(before.format(schema=schema()), name)
    gateway = Gateway(tmp_path, url, {})
    # Of the table it is said at the start, before there is anything to keep.
    if name == "may_not_insert":
        gateway.ask("one")
    wait_for(lambda: "records do not reach Postgres" in (tmp_path / "output.txt").read_text())
    assert said in gateway.stop()


def test_the_table_is_made_once_by_gateways_that_start_together(server, tmp_path):
    url = server.database("together")
    server.ask("GRANT CREATE ON SCHEMA public TO together", "together")
    gateways = []
    for number in range(4):
        folder = tmp_path / str(number)
        folder.mkdir()
        gateways.append(Gateway(folder, url, {}))
    for gateway in gateways:
        gateway.ask("one")
    assert all("Postgres" not in gateway.stop() for gateway in gateways)
    assert server.ask("SELECT count(*) FROM waypost_records", "together") == "4"


def test_a_connection_that_was_cut_meanwhile_is_no_news(server, tmp_path):
    gateway = Gateway(tmp_path, server.url(), {})
    first = gateway.ask("one")
    wait_for(lambda: server.ask(f"SELECT count(*) FROM waypost_records WHERE id = '{first}'") == "1")
    server.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = 'postgres'")
    second = gateway.ask("two")
    wait_for(lambda: server.ask(f"SELECT count(*) FROM waypost_records WHERE id = '{second}'") == "1")
    assert "do not reach" not in gateway.stop()
