"""`/metrics` of real processes, and what is told of the whole installation."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from aicd_core.db.database import Database, SystemDatabase
from aicd_core.jobs.machine import JobState
from aicd_core.monitoring import service
from aicd_core.monitoring.probes import PROBES
from aicd_core.monitoring.service import Exposition
from aicd_core.telemetry.metrics import OTHER, REGISTRY, Bounded
from aicd_core.testing.chaos.installation import AicdProcess, Installation, installation, wait_until
from aicd_core.testing.chaos.repository import list_jobs
from aicd_core.testing.chaos.work import Order, place
from aicd_core.testing.databases import TestUrls
from aicd_core.testing.journaled import Script, journaled_issue
from alert_scenes import promtool

ADDRESS = re.compile(r"metrics at (http://\S+/metrics)")
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(text: str) -> Samples:
    """Every sample, by its name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float:
    return found[name, tuple(sorted(labels.items()))]


def total(found: Samples, name: str) -> float:
    return sum(number for (of, _), number in found.items() if of == name)


def address_of(process: AicdProcess) -> str:
    wait_until(lambda: ADDRESS.search(process.said()) is not None, "an address of metrics")
    found = ADDRESS.search(process.said())
    assert found is not None
    return found[1]


def scrape(process: AicdProcess) -> str:
    answer = httpx.get(address_of(process), timeout=60)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return answer.text


@pytest.fixture
def made(tmp_path: Path, database_urls: TestUrls) -> Iterator[Installation]:
    with installation(tmp_path, database_urls) as found:
        found.settings["AICD_METRICS_PORT"] = "0"
        yield found


async def test_a_worker_tells_what_it_did_and_what_it_cost(made: Installation):
    issue = journaled_issue("Keep a diary", Script(made.model.url, turns=2))
    await place(made, [Order(issue)])
    worker = made.worker("first")
    wait_until(lambda: [job.status.state for job in list_jobs(made.urls.admin)] == [JobState.PR_OPEN], "a pull request")
    paid = len(made.model.calls())
    page = scrape(worker)
    checked = promtool("check", "metrics", told=page.encode())
    assert (checked.returncode, checked.stdout) == (0, ""), checked.stdout
    found = samples(page)
    assert value(found, "aicd_job_transitions_total", event="published", state="pr_open") == 1
    assert value(found, "aicd_step_seconds_count", step="coding", event="coded") == 1
    assert value(found, "aicd_job_rounds_count") == 1
    assert value(found, "aicd_reviews_total", verdict="approve") == 1
    assert value(found, "aicd_policy_verdicts_total", verdict="allow") == 1
    assert value(found, "aicd_leases_held") == 0
    assert total(found, "aicd_model_call_seconds_count") == paid > 0
    with psycopg.connect(made.urls.admin) as connection:
        row = connection.execute(
            "SELECT sum(cost_micro_usd), sum(input_tokens), sum(output_tokens), min(org_id::text) FROM usage_entries"
        ).fetchone()
    assert row is not None
    cost, read, written, org = row
    assert cost > 0
    assert value(found, "aicd_organization_cost_usd_total", org=org) == pytest.approx(float(cost) / 1e6)
    assert total(found, "aicd_model_cost_usd_total") == pytest.approx(float(cost) / 1e6)
    tokens = {labels: number for (name, labels), number in found.items() if name == "aicd_model_tokens_total"}
    assert sum(number for labels, number in tokens.items() if ("kind", "input") in labels) == read
    assert sum(number for labels, number in tokens.items() if ("kind", "output") in labels) == written
    assert value(found, "aicd_organization_pull_requests_total", org=org) == 1
    assert value(found, "aicd_database_up") == 1
    assert value(found, "aicd_data_size_bytes") > value(found, "aicd_data_free_bytes") > 0


async def test_the_installation_is_told_by_every_process_alike_and_not_while_postgres_is_away(
    database: Database, system: SystemDatabase, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database_urls: TestUrls
):
    with installation(tmp_path, database_urls) as made:
        await place(made, [Order(journaled_issue(f"Number {n}", Script(made.model.url))) for n in range(4)])
        await place(made, [Order(journaled_issue(org, Script(made.model.url)), org) for org in ("unpaid", "off")])
        with psycopg.connect(made.urls.admin, autocommit=True) as connection:
            last = "(SELECT id FROM jobs WHERE title = 'Number 3')"
            connection.execute(
                "UPDATE jobs SET state = 'coding', updated_at = now() - interval '1 h', lease_owner = 'a dead worker', "
                f"lease_until = now() - interval '10 s' WHERE id = {last}"
            )
            connection.execute("UPDATE jobs SET state = 'pr_open' WHERE id = (SELECT id FROM jobs ORDER BY id LIMIT 1)")
            connection.execute("UPDATE jobs SET updated_at = now() - interval '100 s' WHERE state = 'queued'")
            named = "(SELECT id FROM organizations WHERE slug = '{}')"
            connection.execute(
                "INSERT INTO standings (org_id, code, reason, since) "
                f"VALUES ({named.format('unpaid')}, 'unpaid', 'The invoice is open.', now())"
            )
            connection.execute(f"UPDATE repositories SET enabled = false WHERE org_id = {named.format('off')}")
            connection.execute("UPDATE jobs SET updated_at = now() - interval '2 h' WHERE title IN ('unpaid', 'off')")
            connection.execute(
                "INSERT INTO deliveries (id, source, external_id, event, body, body_hash, state, attempts, received_at)"
                " VALUES (gen_random_uuid(), 'github', '1', 'ping', '', 'x', 'received', 0, now() - interval '50 s')"
            )
    exposition = Exposition(system, PROBES)
    found = samples((await exposition.text()).decode())
    assert value(found, "aicd_jobs", state="queued") == 4
    assert value(found, "aicd_jobs", state="pr_open") == 1
    assert value(found, "aicd_jobs", state="paused") == 0
    assert value(found, "aicd_queue_jobs", state="queued") == 2, "an unpaid bill and a switched off repository hold two"
    assert value(found, "aicd_queue_jobs", state="coding") == 1
    assert value(found, "aicd_queue_jobs", state="planning") == 0
    assert 1000 > value(found, "aicd_queue_oldest_seconds") >= 100, "the hour that somebody worked is no waiting"
    assert value(found, "aicd_deliveries_waiting") == 1
    assert 100 > value(found, "aicd_deliveries_oldest_seconds") >= 50
    with psycopg.connect(database_urls.admin, autocommit=True) as connection:
        connection.execute("DELETE FROM deliveries")
    again = samples((await exposition.text()).decode())
    assert value(again, "aicd_deliveries_waiting") == 1, "what is fresh is not read again"
    monkeypatch.setattr(service, "FRESH_SECONDS", 0.0)
    assert value(samples((await exposition.text()).decode()), "aicd_deliveries_waiting") == 0
    nowhere = SystemDatabase.connect(re.sub(r"@[^/]*/", "@127.0.0.1:1/", database_urls.system))
    try:
        away = samples((await Exposition(nowhere, PROBES).text()).decode())
    finally:
        await nowhere.close()
    assert value(away, "aicd_database_up") == 0
    assert not any(name.startswith("aicd_queue") for name, _ in away)


def test_a_label_from_data_takes_so_many_values_and_then_one_for_all_others():
    names = Bounded(2)
    assert [names.of(name) for name in ("a", "b", "c", "a", "d")] == ["a", "b", OTHER, "a", OTHER]


def test_no_figure_is_missing_its_words():
    for family in REGISTRY.collect():
        assert family.documentation, family.name


async def test_without_a_port_nothing_listens_and_one_that_is_taken_ends_the_start(made: Installation):
    worker = made.worker("first")
    port = address_of(worker).rpartition(":")[2].partition("/")[0]
    made.settings["AICD_METRICS_PORT"] = port
    second = made.worker("second")
    assert second.end() == 1
    assert f"127.0.0.1:{port} cannot be listened on" in second.said()
    assert "AICD_METRICS_PORT" in second.said()
    del made.settings["AICD_METRICS_PORT"]
    third = made.worker("third")
    wait_until(lambda: "ready for" in third.said(), "a worker that is ready")
    assert ADDRESS.search(third.said()) is None
