"""The rules of alerts: when each fires and when not, and that somebody who is woken finds what to do."""

import re
from pathlib import Path
from typing import Any

import psycopg
import yaml

from aicd_cli.main import app
from aicd_core.testing.databases import TestUrls
from alert_scenes import API, PROMETHEUS, WORKER, Scene, fires, played, promtool, quiet
from figures import figures_in, figures_told

RUNBOOK = Path(__file__).parents[1] / "docs" / "runbook.md"
RULES = PROMETHEUS / "rules" / "aicd.yml"
STOPS = 'aicd_job_stops_total{{event="{}",code="{}",instance="a"}}'
REQUESTS = 'aicd_http_requests_total{{method="GET",route="/v1/jobs",status="{}"}}'
CALLS = 'aicd_model_call_seconds_count{{model="large",outcome="{}"}}'
FAILED = 'aicd_deliveries_total{source="github",outcome="failed"}'
OLDEST = f"aicd_queue_oldest_seconds{{{WORKER}}}"
HELD = f"aicd_leases_held{{{WORKER}}}"
FREE = f"aicd_data_free_bytes{{{WORKER}}}"
STORE = 'aicd_backup_store_last_success_timestamp_seconds{{store="{}"}}'
LOG, TOOK = "aicd_backup_wal_timestamp_seconds", "aicd_backup_duration_seconds"
NOTHING = " ".join(["NaN"] * 121)
DENIALS = f"aicd_sandbox_denials_total{{{WORKER}}}"


def histogram(name: str, labels: str, under: str, every: str, bound: float) -> dict[str, str | None]:
    """So many below a bound, all in all so many."""
    return {
        f'{name}_bucket{{{labels},le="{bound}"}}': under,
        f'{name}_bucket{{{labels},le="{8 * bound}"}}': every,
        f'{name}_bucket{{{labels},le="+Inf"}}': every,
        f"{name}_count{{{labels}}}": every,
    }


SCENES = [
    Scene("all is well", {}),
    fires("AicdApiDown", "for 2 minutes", {f"up{{{API}}}": "1x117 0x2"}),
    fires("AicdApiDown", "nowhere to be found", {f"up{{{API}}}": None}),
    quiet("AicdApiDown", "a restart", {f"up{{{API}}}": "1x118 0"}),
    fires("AicdWorkersDown", "its name leads nowhere", {f"up{{{WORKER}}}": "1x100 stale"}),
    quiet(
        "AicdWorkersDown",
        "another one lives",
        {'up{job="aicd-worker",instance="b"}': "1x120", f"up{{{WORKER}}}": "1x116 0x3"},
    ),
    fires("AicdProcessDown", "one of two", {'up{job="aicd-worker",instance="b"}': "1x110 0x9"}),
    fires("AicdProcessRestarts", "five starts", {f"process_start_time_seconds{{{WORKER}}}": "0x100 1 1 2 2 3 4 5x13"}),
    quiet("AicdProcessRestarts", "upgraded twice", {f"process_start_time_seconds{{{WORKER}}}": "0x100 1x10 2x8"}),
    quiet("AicdWorkersDown", "a restart", {f"up{{{WORKER}}}": "1x118 0"}),
    quiet("AicdMonitoringDown", "a restart", {'up{job="loki",instance="loki:3100"}': "1x117 0x2"}),
    quiet("AicdDatabaseDown", "a restart", {f"aicd_database_up{{{who}}}": "1x119 0" for who in (API, WORKER)}),
    fires("AicdMonitoringDown", "no logs", {'up{job="loki",instance="loki:3100"}': "1x100 0x19"}),
    fires(
        "AicdDatabaseDown",
        "for all",
        {f"aicd_database_up{{{API}}}": "1x117 0x2", f"aicd_database_up{{{WORKER}}}": "1x117 0x2"},
    ),
    quiet("AicdDatabaseDown", "for one", {f"aicd_database_up{{{API}}}": "1x117 0x2"}),
    fires("AicdDatabaseUnreachable", "for one", {f"aicd_database_up{{{API}}}": "1x100 0x19"}),
    fires("AicdBackupLate", "a day and two hours old", {"aicd_backup_last_success_timestamp_seconds": "-93600x120"}),
    fires("AicdBackupLate", "none", {"aicd_backup_last_success_timestamp_seconds": None}),
    fires("AicdBackupStoreLate", "never", {STORE.format("redis"): "-1000000000x120", STORE.format("b"): "0x120"}),
    fires("AicdBackupStoreLate", "a day and two hours old", {STORE.format("redis"): "-93600x120"}),
    fires("AicdBackupLogLate", "not shipped for an hour and a half", {LOG: "-300x120", TOOK: "60x120"}),
    fires("AicdBackupLogLate", "never yet", {LOG: "-1000000000x120", TOOK: "60x120"}),
    quiet("AicdBackupLogLate", "a backup of an hour is being made", {LOG: "-300x120", TOOK: "3600x120"}),
    quiet("AicdBackupLogLate", "late for ten minutes", {LOG: "2900x120", TOOK: "60x120"}),
    quiet("AicdBackupLogLate", "no log is kept", {TOOK: "60x120"}),
    quiet("AicdBackupStoreLate", "23 hours old", {STORE.format("redis"): "-82800x120"}),
    quiet("AicdBackupLate", "23 hours old", {"aicd_backup_last_success_timestamp_seconds": "-82800x120"}),
    fires(
        "AicdDiskLow", "less than 1 GB", {FREE: "900000000x120", f"aicd_data_size_bytes{{{WORKER}}}": "4000000000x120"}
    ),
    fires("AicdDiskLow", "4 percent", {FREE: "4000000000x120"}),
    quiet("AicdDiskLow", "7 percent, and no less from hour to hour", {FREE: "7000000000x120"}),
    quiet(
        "AicdDiskLow",
        "a process without a data directory",
        {FREE: NOTHING, f"aicd_data_size_bytes{{{WORKER}}}": NOTHING},
    ),
    quiet(
        "AicdDiskLow", "2 GB of 10", {FREE: "2000000000x120", f"aicd_data_size_bytes{{{WORKER}}}": "10000000000x120"}
    ),
    quiet("AicdDiskFills", "4 GB less each hour, and most of it is free", {FREE: "95000000000-70000000x120"}),
    fires("AicdDiskFills", "38 GB and 3 GB less each hour", {FREE: "38000000000-50000000x120"}),
    quiet("AicdDiskFills", "38 GB and 1 GB less each hour", {FREE: "38000000000-16000000x120"}),
    fires("AicdNoWorkerTakesWork", "idle for 5 minutes", {OLDEST: "121x120"}),
    quiet("AicdNoWorkerTakesWork", "one works, of two at the limit", {OLDEST: "1700x120", HELD: "1x120"}),
    quiet("AicdNoWorkerTakesWork", "for 3 minutes", {OLDEST: "90x116 140 200 260 320"}),
    quiet("AicdQueueOld", "for 3 minutes", {OLDEST: "90x116 1810 1870 1930 1990", HELD: "1x120"}),
    quiet("AicdBackupLate", "late for half an hour", {"aicd_backup_last_success_timestamp_seconds": "-88200x120"}),
    fires("AicdQueueOld", "half an hour", {OLDEST: "1801x120", HELD: "4x120"}),
    fires("AicdLeasesLost", "five in a quarter of an hour", {f"aicd_leases_lost_total{{{WORKER}}}": "0x110 5x9"}),
    quiet("AicdLeasesLost", "two, of a worker that was stopped", {f"aicd_leases_lost_total{{{WORKER}}}": "0x110 2x9"}),
    fires("AicdJobsFail", "six within an hour, the first of all", {STOPS.format("failed", "bad_patch"): "_x80 6x39"}),
    fires("AicdJobsFail", "one after the other", {STOPS.format("failed", "bad_patch"): "1x60 2 3 4 5 6 7 8 9x52"}),
    quiet(
        "AicdJobsFail",
        "each for a reason of its own",
        {STOPS.format("failed", f"code_{n}"): "_x80 1x39" for n in range(9)},
    ),
    quiet("AicdJobsFail", "five", {STOPS.format("failed", "bad_patch"): "_x80 5x39"}),
    quiet("AicdJobsFail", "last week", {STOPS.format("failed", "bad_patch"): "90x120"}),
    fires("AicdJobsRetried", "eleven", {STOPS.format("retry_scheduled", "github_unavailable"): "_x100 11x19"}),
    quiet("AicdJobsRetried", "ten", {STOPS.format("retry_scheduled", "github_unavailable"): "_x100 10x19"}),
    fires("AicdDefect", "one, the first", {STOPS.format("retry_scheduled", "internal"): "_x90 1x29"}),
    quiet("AicdDefect", "yesterday's", {STOPS.format("retry_scheduled", "internal"): "1x120"}),
    fires("AicdDeliveriesWait", "ten minutes", {f"aicd_deliveries_oldest_seconds{{{WORKER}}}": "601x120"}),
    quiet("AicdDeliveriesWait", "nine minutes", {f"aicd_deliveries_oldest_seconds{{{WORKER}}}": "540x120"}),
    fires("AicdDeliveriesFail", "one, the first", {FAILED: "_x90 1x29"}),
    quiet("AicdDeliveriesFail", "yesterday's", {FAILED: "3x120"}),
    fires(
        "AicdDeliveryLag",
        "one in ten",
        histogram("aicd_delivery_lag_seconds", 'source="github"', "0+9x120", "0+10x120", 60),
    ),
    quiet(
        "AicdDeliveryLag",
        "one in fifty",
        histogram("aicd_delivery_lag_seconds", 'source="github"', "0+49x120", "0+50x120", 60),
    ),
    fires("AicdRequestErrors", "one in ten", {REQUESTS.format(200): "0+90x120", REQUESTS.format(503): "0+10x120"}),
    quiet("AicdRequestErrors", "one in fifty", {REQUESTS.format(200): "0+490x120", REQUESTS.format(503): "0+10x120"}),
    quiet("AicdRequestErrors", "the only request at night", {REQUESTS.format(500): "0x118 1 1"}),
    quiet("AicdRequestErrors", "all of them, and few", {REQUESTS.format(503): "0+0.9x120"}),
    quiet("AicdRequestErrors", "what callers did wrong", {REQUESTS.format(404): "0+100x120"}),
    fires(
        "AicdRequestsSlow",
        "one in ten",
        histogram("aicd_http_request_seconds", 'method="GET",route="/"', "0+90x120", "0+100x120", 2.5),
    ),
    quiet(
        "AicdRequestsSlow",
        "two an hour",
        histogram("aicd_http_request_seconds", 'method="GET",route="/"', "0x120", "0x60 1x30 2x29", 2.5),
    ),
    fires(
        "AicdModelCallsFail",
        "one in three",
        {CALLS.format("answered"): "0+2x120", CALLS.format("rate_limit"): "0+1x120"},
    ),
    quiet(
        "AicdModelCallsFail",
        "one in ten",
        {CALLS.format("answered"): "0+18x120", CALLS.format("rate_limit"): "0+2x120"},
    ),
    fires("AicdSandboxDenials", "a hundred at once", {DENIALS: "0x110 100x9"}),
    quiet("AicdSandboxDenials", "48 at once", {DENIALS: "0x110 48x9"}),
    quiet("AicdSandboxDenials", "as ever", {DENIALS: "0+0.5x120"}),
]


def alerts(rules: Path) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(rules.read_text())["groups"] for rule in group["rules"]]


def test_each_alert_fires_in_its_scene_and_nothing_else_does(tmp_path: Path):
    assert played(SCENES, RULES, tmp_path) == ""
    named = {str(rule["alert"]) for rule in alerts(RULES)}
    assert {name for scene in SCENES for name in scene.fires} == named


def test_a_scene_that_comes_out_otherwise_is_told(tmp_path: Path):
    said = played([Scene("nothing is said of a queue", {OLDEST: "1801x120", HELD: "4x120"})], RULES, tmp_path)
    assert "AicdQueueOld" in said


def sections(page: Path) -> dict[str, str]:
    """The page's sections, by their headings."""
    parts = re.split(r"^## (.*)$", page.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_prometheus_takes_the_configuration_and_the_rules():
    done = promtool("check", "config", str(PROMETHEUS / "prometheus.yml"))
    assert done.returncode == 0, done.stdout
    assert "rule files found" in done.stdout


def test_each_alert_says_how_bad_it_is_and_leads_to_its_section_of_the_runbook():
    there = sections(RUNBOOK)
    for rule in alerts(RULES):
        name, told = rule["alert"], rule["annotations"]
        assert rule["labels"]["severity"] in {"critical", "warning"}, name
        assert set(told) == {"summary", "description", "runbook"}, name
        assert told["runbook"] == f"docs/runbook.md#{name.lower()}"
        for part in ("**What.**", "**Look", "**Over when**"):
            assert part in there[name], f"{name} has no {part}"
    assert set(there) == {rule["alert"] for rule in alerts(RULES)}, "a section without an alert"


def test_what_the_runbook_says_to_type_is_there(database_urls: TestUrls):
    text = RUNBOOK.read_text()
    known = {str(one.name) for one in (*app.registered_commands, *app.registered_groups)}
    assert set(re.findall(r"`aicd ([a-z]+)", text)) <= known
    statements = re.findall(r'`sql "(.*?)"`', text)
    assert len(statements) > 3
    with psycopg.connect(database_urls.admin) as connection:
        for statement in statements:
            connection.execute(f"EXPLAIN {statement}")


def test_every_figure_of_a_rule_is_one_that_a_process_tells():
    for rule in alerts(RULES):
        assert figures_in(rule["expr"]) <= figures_told(), rule["alert"]
