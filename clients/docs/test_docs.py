"""The documentation's blocks: every YAML block loads, every command exists, every link leads somewhere."""

import os
import pathlib
import re
import subprocess

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("WAYPOST_BIN", str(ROOT / "target/debug/waypost"))
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("crates/**/*.md"), *ROOT.glob("training/*.md")])
KEYS = {"OPENAI_API_KEY": "k1", "ANTHROPIC_API_KEY": "k2"}


def blocks(language):
    """Every fenced block of the language, as (page:line, text)."""
    found = []
    for page in PAGES:
        for match in re.finditer(rf"^```{language}\n(.*?)^```", page.read_text(), re.M | re.S):
            line = page.read_text()[: match.start()].count("\n") + 1
            found.append(pytest.param(match.group(1), id=f"{page.relative_to(ROOT)}:{line}"))
    assert found, f"no {language} block at all"
    return found


def waypost(*arguments, **options):
    return subprocess.run(
        [BINARY, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": os.environ["PATH"], **KEYS, **options.pop("env", {})},
        **options,
    )


@pytest.mark.parametrize("text", blocks("yaml"))
def test_yaml_blocks_load(text, tmp_path):
    # A page may show a part; a part without providers is completed.
    document = yaml.safe_load(text)
    if "llm_providers" not in document and "model_providers" not in document:
        text += "\nmodel_providers:\n  - model: openai/gpt-5.2\n    access_key: $OPENAI_API_KEY\n    default: true\n"
        text += "  - model: openai/gpt-5\n    access_key: $OPENAI_API_KEY\n"
        text += "  - model: anthropic/claude-sonnet-4-5\n    access_key: $ANTHROPIC_API_KEY\n"
    (tmp_path / "waypost.yaml").write_text(text)
    variables = {name: "k" * 16 for name in re.findall(r"\$\{?([A-Z_]+)", text)}
    if "GOOGLE_APPLICATION_CREDENTIALS" in variables:
        (tmp_path / "user.json").write_text(
            '{"type": "authorized_user", "client_id": "i", "client_secret": "s", "refresh_token": "r"}'
        )
        variables["GOOGLE_APPLICATION_CREDENTIALS"] = "user.json"
    checked = waypost("check", "waypost.yaml", cwd=tmp_path, env=variables)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("example", sorted(ROOT.glob("examples/*.yaml")), ids=lambda path: path.name)
def test_examples_load(example):
    variables = {name: "k" for name in re.findall(r"\$\{?([A-Z0-9_]+)", example.read_text())}
    checked = waypost("check", str(example), env=variables)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("text", blocks("console"))
def test_commands_exist(text):
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


def test_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text()):
            if not target.startswith(("http://", "https://")):
                assert (page.parent / target).exists(), f"{page.relative_to(ROOT)}: {target}"
