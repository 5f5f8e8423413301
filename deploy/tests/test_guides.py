"""The guides' lines and values, as far as they can be run without a cluster."""

import re
import shlex
import subprocess

import pytest

from files import BIN, ROOT, documents, run

GUIDE = (ROOT / "docs/guides/kubernetes.md").read_text()
DEPLOYING = (ROOT / "docs/guides/deploying.md").read_text()


def blocks(text, language):
    found = re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert found, language
    return found


LINES = [line for block in blocks(GUIDE, "console") for line in block.strip().splitlines()]


@pytest.mark.parametrize("line", LINES)
def test_lines_of_the_guide_run(line, tmp_path):
    program, *words = shlex.split(line)
    if words[0] == "create":
        (tmp_path / ".env").write_text("OPENAI_API_KEY=x\n")
        made = documents(run(BIN / program, *words, "--dry-run=client", "-o", "yaml", cwd=tmp_path).stdout)[0]
        # As the deployment mounts it.
        assert made["metadata"]["name"] == "waypost-keys" and set(made["data"]) == {".env"}
    elif words[:2] == ["apply", "-k"]:
        assert documents(run(BIN / program, "kustomize", words[2], cwd=ROOT).stdout)
    elif program == "helm":
        name, chart, *options = [word for word in words[1:] if word != "--install"]
        objects = documents(run(BIN / program, "template", name, chart, *options, cwd=ROOT).stdout)
        assert "registry.example.com/waypost" in str(objects)
    else:
        helped = subprocess.run([BIN / program, words[0], "--help"], capture_output=True, text=True, check=False)
        assert helped.returncode == 0
        for option in [word for word in words if word.startswith("--")]:
            assert f"{option}=" in helped.stdout or f"{option} " in helped.stdout, option


@pytest.mark.parametrize("text", blocks(GUIDE, "yml"))
def test_values_of_the_guide_are_taken(text, tmp_path):
    (tmp_path / "values.yaml").write_text(text)
    objects = documents(run(BIN / "helm", "template", "waypost", ROOT / "deploy/helm/waypost", "-f", tmp_path / "values.yaml").stdout)
    assert {item["kind"] for item in objects} >= {"Deployment", "ServiceMonitor", "NetworkPolicy"}


def test_files_of_the_guide_are_there():
    for path in re.findall(r"\bdeploy/[a-z]+/[A-Za-z.]+", "".join(blocks(DEPLOYING, "sh"))):
        assert (ROOT / path).exists(), path
    # What is written of the version.
    version = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]
    assert set(re.findall(r"waypost:(\d[\d.]*)", DEPLOYING)) == {version}
