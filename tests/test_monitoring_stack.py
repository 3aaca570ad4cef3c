"""Alertmanager, Loki, its shipper and Tempo: who is told, how long what is kept, and that they find each other.

Alertmanager's files are read by its own `amtool`. Of the others no program can be had from Debian: their files are
looked at from here only.
"""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from alert_scenes import PROMETHEUS
from debian_programs import debian_program

DOCKER = PROMETHEUS.parent
ALERTMANAGER = DOCKER / "alertmanager" / "alertmanager.yml"


def read(path: Path) -> dict[str, Any]:
    found = yaml.safe_load(path.read_text())
    assert isinstance(found, dict)
    return found


def amtool(*arguments: str) -> str:
    program = debian_program("amtool")
    done = subprocess.run([program.path, *arguments], capture_output=True, env=program.environment, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def hours(span: str) -> int:
    (number,) = re.fullmatch(r"(\d+)h", span).groups()  # type: ignore[union-attr]
    return int(number)


@pytest.mark.parametrize(("severity", "told"), [("critical", "pager,chat"), ("warning", "chat")])
def test_alertmanager_takes_its_file_and_wakes_somebody_for_what_is_critical(severity: str, told: str):
    assert "SUCCESS" in amtool("check-config", str(ALERTMANAGER))
    route = amtool("config", "routes", "test", "--config.file", str(ALERTMANAGER), f"severity={severity}")
    assert route.strip() == told


def test_what_is_sent_says_what_is_wrong_and_where_to_read_on(tmp_path: Path):
    annotations = {
        "summary": "A job waits.",
        "description": "It has waited for an hour.",
        "runbook": "docs/runbook.md#x",
    }
    alert = {"status": "firing", "labels": {}, "annotations": annotations}
    labels = {"alertname": "AicdQueueOld", "severity": "warning"}
    data, empty = tmp_path / "data.json", tmp_path / "empty.tmpl"
    data.write_text(json.dumps({"status": "firing", "alerts": [alert], "commonLabels": labels}))
    empty.touch()

    def sent(text: str) -> str:
        given = (f"--template.glob={empty}", f"--template.data={data}", f"--template.text={text}")
        return amtool("template", "render", *given)

    chat, pager = read(ALERTMANAGER)["receivers"]
    (slack,), (page,) = chat["slack_configs"], pager["pagerduty_configs"]
    assert sent(slack["title"]).strip() == "FIRING: AicdQueueOld (warning)"
    assert all(words in sent(slack["text"]) for words in annotations.values())
    assert sent(page["description"]).strip() == "AicdQueueOld: A job waits."
    assert sent(page["details"]["runbook"]).strip() == annotations["runbook"]


def test_secrets_are_files_and_only_alerts_that_exist_are_held_back():
    text = ALERTMANAGER.read_text()
    assert set(re.findall(r"(\w+): /run/secrets/\w+", text)) == {"api_url_file", "routing_key_file"}
    assert not re.search(r"https?://|_key: |password: |token: ", text)
    rules = "".join(path.read_text() for path in (PROMETHEUS / "rules").iterdir())
    for name in re.findall(r"Aicd\w+", text):
        assert f"alert: {name}\n" in rules, name


def test_logs_and_traces_are_let_go_of():
    loki, tempo = read(DOCKER / "loki" / "loki.yml"), read(DOCKER / "tracing" / "tempo.yml")
    assert 24 <= hours(loki["limits_config"]["retention_period"]) <= 24 * 366
    assert loki["compactor"]["retention_enabled"] is True, "without it, the period above does nothing"
    assert loki["compactor"]["delete_request_store"] == loki["schema_config"]["configs"][-1]["object_store"]
    assert 24 <= hours(tempo["compactor"]["compaction"]["block_retention"]) <= 24 * 366


def test_they_find_each_other():
    (sources,) = (DOCKER / "grafana/provisioning/datasources").iterdir()
    asked = {one["type"]: one["url"] for one in read(sources)["datasources"]}
    loki, tempo = read(DOCKER / "loki" / "loki.yml"), read(DOCKER / "tracing" / "tempo.yml")
    alloy = (DOCKER / "loki" / "alloy.alloy").read_text()
    scraped = {
        job["job_name"]: job["static_configs"][0]["targets"][0]
        for job in read(PROMETHEUS / "prometheus.yml")["scrape_configs"]
        if "static_configs" in job
    }
    assert asked["loki"] == f"http://{scraped['loki']}" == f"http://loki:{loki['server']['http_listen_port']}"
    assert f'"{asked["loki"]}/loki/api/v1/push"' in alloy
    assert asked["tempo"] == f"http://{scraped['tempo']}" == f"http://tempo:{tempo['server']['http_listen_port']}"


def test_the_shipper_s_file_hangs_together():
    """Not Alloy's own parser: blocks are closed, and every component that something is sent to is there."""
    text = re.sub(r"//[^\n]*", "", (DOCKER / "loki" / "alloy.alloy").read_text().replace("http://", "http:"))
    assert text.count("{") == text.count("}")
    assert text.count('"') % 2 == 0
    made = {f"{kind}.{name}" for kind, name in re.findall(r'^([a-z_.]+) "(\w+)" \{', text, re.MULTILINE)}
    used = set(re.findall(r"((?:local|loki)\.[a-z_]+\.\w+)\.(?:targets|receiver)", text))
    assert used
    assert used <= made
    assert made - used == {"loki.source.file.containers"}, "what nobody feeds or reads"
