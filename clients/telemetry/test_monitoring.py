"""What is deployed beside the gateway, held against the real tools: Prometheus' own checker and Grafana's own types."""

import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest
import yaml
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard

ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy/prometheus"
DASHBOARD = ROOT / "deploy/grafana/waypost.json"


def promtool(*arguments, **options):
    assert shutil.which("promtool"), "promtool is not there: `apt-get install prometheus`"
    return subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=120, **options)


def test_rules_and_alerts_do_what_they_should():
    for arguments in [("check", "config", "prometheus.yaml"), ("test", "rules", "tests.yaml")]:
        done = promtool(*arguments, cwd=RULES)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_tests_of_alerts_can_fail(tmp_path):
    for name in ("rules.yaml", "alerts.yaml", "tests.yaml"):
        (tmp_path / name).write_text((RULES / name).read_text().replace("> 0.05\n", "> 0.5\n"))
    assert promtool("test", "rules", "tests.yaml", cwd=tmp_path).returncode != 0


def test_every_alert_is_tested_and_says_what_to_do():
    alerts = [rule for group in yaml.safe_load((RULES / "alerts.yaml").read_text())["groups"] for rule in group["rules"]]
    tests = (RULES / "tests.yaml").read_text()
    for alert in alerts:
        assert alert["alert"] in tests, alert["alert"]
        assert alert["labels"]["severity"] in ("critical", "warning", "info")
        assert len(alert["annotations"]["summary"]) > 10 and len(alert["annotations"]["runbook"]) > 50


def panels():
    return json.loads(DASHBOARD.read_text())["panels"]


def test_the_dashboard_is_one_for_grafana():
    """Grafana's own types read it, and find a place for each of its keys."""
    plugins.register_default_plugins()
    written = json.loads(DASHBOARD.read_text())
    read = dashboard.Dashboard.from_json(written)
    again = json.loads(JSONEncoder().encode(read))
    assert missing(written, again) == []
    ids = [panel["id"] for panel in written["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in panels():
        if panel["type"] != "row":
            assert panel["title"] and panel["description"] and panel["targets"], panel["title"]
            assert panel["datasource"]["uid"] == "${datasource}"
            assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    places = [panel["gridPos"] for panel in panels()]
    cells = [(x, y) for at in places for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])]
    assert len(set(cells)) == len(cells) and max(x for x, _ in cells) == 23, "panels lie on each other, or beside the page"


def missing(written, read, path=""):
    """What of one document is not in the other."""
    if isinstance(written, dict) and isinstance(read, dict):
        return [one for key in written for one in missing(written[key], read.get(key, KeyError), f"{path}/{key}")]
    if isinstance(written, list) and isinstance(read, list) and len(written) == len(read):
        return [one for index, pair in enumerate(zip(written, read)) for one in missing(*pair, f"{path}/{index}")]
    return [] if written == read else [path]


def test_what_grafana_does_not_know_is_noticed():
    plugins.register_default_plugins()
    written = json.loads(DASHBOARD.read_text())
    written["panels"][1]["fieldConfig"]["defaults"]["unti"] = "s"
    again = json.loads(JSONEncoder().encode(dashboard.Dashboard.from_json(written)))
    assert missing(written, again) == ["/panels/1/fieldConfig/defaults/unti"]


def test_prometheus_can_read_every_query(tmp_path):
    queries = [target["expr"] for panel in panels() for target in panel.get("targets", [])]
    queries += [one["expr"] for one in json.loads(DASHBOARD.read_text())["annotations"]["list"]]
    assert len(queries) > 30
    for query in queries:
        assert '$job"' in query and "$instance" in query, f"the dashboard's variables do not hold for {query}"
    known = {"$__rate_interval": "5m", "$job": "waypost", "$instance": "a", "$model": "m"}
    plain = [re.sub(r"\$\w+", lambda found: known[found.group()], query) for query in queries]
    rules = [{"record": f"q{index}", "expr": query} for index, query in enumerate(plain)]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = promtool("check", "rules", str(file))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_is_as_prometheus_wants_it(start):
    gateway = start()
    assert gateway.chat("fast-model", "Hi")[0] == 200
    assert gateway.chat("auto", "Write me a short poem about the sea", stream=True)[0] == 200
    assert gateway.chat("pool", "Hi [[echo status=503]]")[0] == 503
    page = gateway.metrics()
    gateway.stop()
    done = promtool("check", "metrics", input=page)
    assert done.returncode == 0 and not done.stderr, done.stdout + done.stderr
    assert "waypost_cost_usd_total{" in page and "waypost_default_cost_usd_total{" in page
