"""The documentation's blocks: every YAML block loads, every command exists, every link leads somewhere."""

import html.parser
import os
import re
import subprocess
import sys
import urllib.parse

import pytest
import yaml

from conftest import BINARY, KEYS, PAGES, ROOT, blocks


def waypost(*arguments, **options):
    return subprocess.run(
        [BINARY, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": os.environ["PATH"], **KEYS, **options.pop("env", {})},
        **options,
    )


@pytest.mark.parametrize(("page", "text"), blocks("yaml"))
def test_yaml_blocks_load(page, text, tmp_path):
    # A page may show a part; a part without providers is completed.
    document = yaml.safe_load(text)
    if "llm_providers" not in document and "model_providers" not in document:
        text += "\nmodel_providers:\n  - model: openai/gpt-5.2\n    access_key: $OPENAI_API_KEY\n    default: true\n"
        text += "  - model: openai/gpt-5\n    access_key: $OPENAI_API_KEY\n"
        text += "  - model: anthropic/claude-sonnet-4-5\n    access_key: $ANTHROPIC_API_KEY\n"
    (tmp_path / "waypost.yaml").write_text(text)
    variables = {name: "k" * 16 for name in re.findall(r"\$\{?([A-Z_]+)", text)}
    if "DATABASE_URL" in variables:
        variables["DATABASE_URL"] = "postgres://waypost:password@db.example.com/records"
    if "GOOGLE_APPLICATION_CREDENTIALS" in variables:
        (tmp_path / "user.json").write_text(
            '{"type": "authorized_user", "client_id": "i", "client_secret": "s", "refresh_token": "r"}'
        )
        variables["GOOGLE_APPLICATION_CREDENTIALS"] = "user.json"
    if "/etc/waypost/tls/" in text:
        (tmp_path / "waypost.yaml").write_text(text.replace("/etc/waypost/tls/", f"{tmp_path}/"))
        files = ["-keyout", "tls.key", "-out", "tls.crt"]
        made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", *files]
        subprocess.run(made, cwd=tmp_path, check=True, capture_output=True)
        (tmp_path / "clients.pem").write_bytes((tmp_path / "tls.crt").read_bytes())
    checked = waypost("check", "waypost.yaml", cwd=tmp_path, env=variables)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("example", sorted(ROOT.glob("examples/*.yaml")), ids=lambda path: path.name)
def test_examples_load(example):
    variables = {name: "k" for name in re.findall(r"\$\{?([A-Z0-9_]+)", example.read_text())}
    checked = waypost("check", str(example), env=variables)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize(("page", "text"), blocks("console"))
def test_commands_exist(page, text):
    for line in text.replace("\\\n", " ").splitlines():
        words = line.split("#")[0].split()
        if words[:1] == ["waypost"]:
            # `waypost routes` has commands of its own.
            command = words[1:3] if words[1] == "routes" else words[1:2]
            helped = waypost(*command, "--help")
            assert helped.returncode == 0, line
            for flag in [word for word in words if word.startswith("--")]:
                assert flag.split("=")[0] in helped.stdout, line
        elif words[:1] and words[0].startswith("./"):
            assert os.access(ROOT / words[0], os.X_OK), line


@pytest.mark.parametrize(("page", "text"), blocks("python"))
def test_python_blocks_run(page, text, running):
    done = subprocess.run([sys.executable, "-c", running.placed(text)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


class Targets(html.parser.HTMLParser):
    """What a page of the site points at, and what can be pointed at in it."""

    def __init__(self, page):
        super().__init__()
        self.links, self.anchors = [], set()
        self.feed(page.read_text())

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name == "id" or (tag == "a" and name == "name"):
                self.anchors.add(value)
            elif name in ("href", "src") and value and not re.match(r"[a-z]+:|//", value):
                self.links.append(value)


def test_the_manual_is_a_site(tmp_path):
    """`mkdocs build --strict` fails at a page that is in no menu; no link of what it builds is dead."""
    site = tmp_path / "site"
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(site)],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
    )
    assert built.returncode == 0, built.stderr
    pages = {page: Targets(page) for page in site.rglob("*.html") if page.name != "404.html"}
    assert site / "quickstart/index.html" in pages
    dead, followed = [], 0
    for page, targets in pages.items():
        for link in targets.links:
            path, _, anchor = urllib.parse.unquote(link).partition("#")
            place = (page.parent / path.partition("?")[0]).resolve() if path else page
            place = place / "index.html" if place.is_dir() else place
            is_there = place.exists() and (not anchor or place.suffix != ".html" or anchor in pages[place].anchors)
            followed += 1
            if not is_there:
                dead.append(f"{page.relative_to(site)}: {link}")
    assert followed > 1000 and not dead, "\n".join(dead)


def test_cargo_run_knows_the_program():
    """README: `cargo run --release -- demo`; a second program in the workspace would make it ambiguous."""
    shown = subprocess.run(
        ["cargo", "run", "--quiet", "--locked", "--", "--version"], cwd=ROOT, capture_output=True, text=True, timeout=600
    )
    assert shown.returncode == 0 and shown.stdout.startswith("waypost "), shown.stderr


def test_the_demo_shows_every_method():
    """README: one command, no key, each request routed and why."""
    shown = waypost("demo", "--once", "--port", "0")
    assert shown.returncode == 0, shown.stderr
    words = ["openai/gpt-5.2", "fast-model", "creative writing", "code generation", "code understanding"]
    for word in [*words, "by", "alias", "preference", "none fits"]:
        assert word in shown.stdout


def test_route_of_the_readme(tmp_path):
    readme = (ROOT / "README.md").read_text()
    (tmp_path / "waypost.yaml").write_text(re.search(r"```yaml\n(.*?)```", readme, re.S).group(1))
    prompt = re.search(r'waypost route waypost.yaml "(.*?)"', readme).group(1)
    shown = waypost("route", "waypost.yaml", prompt, cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "code understanding" in shown.stdout


def anchors(page):
    """The anchors of a page's headings as where the repository is read: lower case, words joined by hyphens."""
    text = re.sub(r"^(```+).*?^\1", "", page.read_text(), flags=re.M | re.S)
    found = set()
    for heading in re.findall(r"^#+ (.*)$", text, re.M):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        slug, number = re.sub(r"[^\w\- ]", "", words).replace(" ", "-"), 0
        while f"{slug}-{number}" in found if number else slug in found:
            number += 1
        found.add(f"{slug}-{number}" if number else slug)
    return found


def test_links_lead_somewhere():
    for page in PAGES:
        for target, anchor in re.findall(r"\]\(([^)#]*?)(?:#([^)]*))?\)", page.read_text()):
            if not target.startswith(("http://", "https://")):
                place = page.parent / target if target else page
                assert place.exists(), f"{page.relative_to(ROOT)}: {target}"
                if anchor and place.suffix == ".md":
                    assert anchor in anchors(place), f"{page.relative_to(ROOT)}: {target}#{anchor}"
