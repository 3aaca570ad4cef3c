"""`aicd worker` as a process: how it stops, what it waits for, and what it leaves to the next one."""

import asyncio
import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from aicd_cli.serving import once_there
from aicd_core.db.database import SystemDatabase
from aicd_core.errors import InvalidInputError
from aicd_core.ids import new_uuid
from aicd_core.jobs.machine import JobEvent, JobState
from aicd_core.tenancy.organizations.models import PlanApproval
from aicd_core.tenancy.organizations.values import SettingsValues
from aicd_core.testing.chaos.installation import Installation, installation, running, wait_until
from aicd_core.testing.chaos.repository import JobRow, list_events, list_jobs
from aicd_core.testing.chaos.verdict import Payment, breaches
from aicd_core.testing.chaos.work import Order, place, settle
from aicd_core.testing.databases import TestUrls
from aicd_core.testing.journaled import DIARY, Script, journaled_issue
from aicd_github.webhooks.tenants import require_organizations


@pytest.fixture
def made(tmp_path: Path, database_urls: TestUrls) -> Iterator[Installation]:
    with installation(tmp_path, database_urls) as found:
        yield found


def ordered(made: Installation, title: str = "Keep a diary", **script) -> UUID:
    """A queued job with the script; its id."""
    issue = journaled_issue(title, Script(made.model.url, **script))
    return asyncio.run(place(made, [Order(issue)]))[0]


def the_job(made: Installation) -> JobRow:
    (job,) = list_jobs(made.urls.admin)
    return job


def events(made: Installation) -> list[JobEvent]:
    return [event.event for event in list_events(made.urls.admin) if event.event is not None]


def change(made: Installation, statement: str) -> list[tuple]:
    with psycopg.connect(made.urls.admin) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def wait_for(made: Installation, state: JobState) -> None:
    wait_until(lambda: the_job(made).status.state is state, f"a job that is {state.value}")


def wait_for_calls(made: Installation, number: int) -> None:
    wait_until(lambda: len(made.model.calls()) >= number, f"{number} calls of the model")


def ends_well(made: Installation, at_risk: int = 0) -> None:
    wait_for(made, JobState.PR_OPEN)
    assert list(breaches(made, at_risk)) == []


def test_a_worker_told_to_stop_ends_its_step_and_hands_the_job_over(made: Installation):
    """Calls: 1 plan, 2 code, 3 review. The signal comes during the second."""
    ordered(made, turns=1)
    made.model.hold_from(2)
    first = made.worker("first")
    wait_for_calls(made, 2)
    first.signal(signal.SIGTERM)
    wait_until(lambda: "draining" in first.said(), "a worker that drains")
    made.model.release()
    assert first.end() == 0
    job = the_job(made)
    assert (job.status.state, job.lease_owner) == (JobState.REVIEWING, None)
    assert events(made)[-2:] == [JobEvent.CODED, JobEvent.HANDED_OVER]
    made.worker("second")
    ends_well(made)
    assert events(made)[-1] is JobEvent.PUBLISHED


def test_a_step_that_outlasts_the_drain_is_cut_off_and_handed_over(made: Installation):
    ordered(made, turns=1)
    made.model.hold_from(2)
    first = made.worker("first", "--drain-timeout", "0.5")
    wait_for_calls(made, 2)
    first.signal(signal.SIGTERM)
    assert first.end() == 0
    job = the_job(made)
    assert (job.status.state, job.lease_owner) == (JobState.CODING, None)
    assert events(made)[-1] is JobEvent.HANDED_OVER
    made.model.release()
    made.worker("second")
    ends_well(made, at_risk=1)
    assert Payment.of(made).paid - Payment.of(made).needed == 1


def test_a_second_signal_ends_a_worker_at_once_and_a_neighbour_misses_it_before_its_lease_runs_out(made: Installation):
    ordered(made, turns=1)
    made.model.hold_from(2)
    first = made.worker("first")
    wait_for_calls(made, 2)
    first.signal(signal.SIGTERM)
    wait_until(lambda: "draining" in first.said(), "a worker that drains")
    # So long that only the neighbour's look at the process itself can free it.
    change(made, "UPDATE jobs SET lease_until = now() + interval '1 hour'")
    first.signal(signal.SIGTERM)
    assert first.end() == 130
    made.model.release()
    made.worker("second")
    ends_well(made, at_risk=1)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            ("--queues", "mails"),
            "--queues takes one or more of jobs, chores, deliveries, divided by commas; got 'mails'.",
        ),
        (("--queues", ""), "--queues takes one or more of jobs, chores, deliveries"),
        (("--concurrency", "0"), "should be greater than or equal to"),
        (("--drain-timeout", "-1"), "should be greater than or equal to"),
    ],
)
def test_options_that_make_no_sense_are_refused(made: Installation, options: tuple[str, ...], told: str):
    worker = made.worker("first", *options)
    assert worker.end() == 2
    assert told in " ".join(worker.said().replace("│", " ").split())


def test_a_job_that_was_never_queued_is_found_by_a_worker_of_chores_and_done_by_one_of_jobs(made: Installation):
    ordered(made, turns=1)
    change(made, "TRUNCATE bullmq.job CASCADE")
    change(made, "UPDATE jobs SET woken_at = NULL")
    doing = made.worker("first", "--queues", "jobs")
    wait_until(lambda: "ready" in doing.said(), "a worker that is ready")
    time.sleep(2)
    assert the_job(made).status.state is JobState.QUEUED
    made.worker("second", "--queues", "chores")
    ends_well(made)


def test_what_the_model_turns_away_is_tried_again_after_a_pause(made: Installation):
    ordered(made, turns=1)
    made.model.refuse(2)
    made.worker("first")
    ends_well(made)
    tried = change(
        made,
        "SELECT detail ->> 'code', detail ->> 'reason' FROM job_events WHERE event = 'retry_scheduled' ORDER BY id",
    )
    assert [code for code, _ in tried] == ["model_unavailable"] * 2
    assert all("Trying again in" in reason for _, reason in tried)
    # The first pause is one to two seconds long, the second one two to four.
    pauses = change(
        made,
        "SELECT extract(epoch FROM next.created_at - e.created_at)::float FROM job_events e "
        "JOIN job_events next ON next.version = e.version + 1 WHERE e.event = 'retry_scheduled' ORDER BY e.id",
    )
    assert [pause >= least for (pause,), least in zip(pauses, (1, 2), strict=True)] == [True, True]


def test_a_worker_outlives_a_postgres_that_is_away_and_pays_nothing_twice(tmp_path: Path):
    with installation(tmp_path) as made:
        ordered(made, turns=2)
        made.model.hold_from(2)
        worker = made.worker("first")
        wait_for_calls(made, 2)
        made.kill_postgres()
        made.model.release()
        time.sleep(10)
        made.postgres.start()
        ends_well(made)
        assert worker.process.poll() is None
        assert JobEvent.RETRY_SCHEDULED not in events(made)


def test_a_worker_that_starts_before_its_postgres_waits_for_it(tmp_path: Path):
    with installation(tmp_path) as made:
        ordered(made, turns=1)
        made.postgres.stop()
        worker = made.worker("first")
        wait_until(lambda: "waiting: Postgres did not answer" in worker.said(), "a worker that waits")
        made.postgres.start()
        ends_well(made)


def test_a_postgres_that_goes_away_while_a_worker_begins_is_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    async def begin(made: Installation) -> None:
        system = SystemDatabase.connect(made.urls.system)
        await require_organizations(system, {})  # the worker's store is open
        made.kill_postgres()
        begun = asyncio.create_task(once_there(lambda: require_organizations(system, {"acme": "nobody"})))
        while "waiting: Postgres did not answer" not in caplog.text:
            await asyncio.sleep(0.05)
        await asyncio.to_thread(made.postgres.start)
        with pytest.raises(InvalidInputError, match="no such organization"):
            await begun
        await system.close()

    with installation(tmp_path) as made:
        asyncio.run(begin(made))


def test_a_worker_outlives_a_redis_that_is_away(tmp_path: Path, database_urls: TestUrls):
    with installation(tmp_path, database_urls, with_redis=True) as made:
        assert made.redis is not None
        worker = made.worker("first")
        wait_until(lambda: "ready" in worker.said(), "a worker that is ready")
        made.redis.kill()
        time.sleep(3)
        made.redis.start()
        ordered(made, turns=1)
        ends_well(made)
        assert worker.process.poll() is None


def test_a_job_out_of_time_pauses_and_goes_on_with_a_higher_limit(made: Installation):
    ordered(made, turns=1)
    change(made, "UPDATE jobs SET time_limit = 0.001")
    made.worker("first")
    wait_for(made, JobState.PAUSED)
    job = the_job(made)
    assert "aicd resume" in (job.reason or "")
    done = made.aicd("first", "resume", str(job.id), "--time-limit", "600", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["state"] == "planning"
    ends_well(made)


def test_a_limit_of_a_job_that_is_not_paused_is_not_raised(made: Installation):
    job_id = ordered(made, turns=1)
    done = made.aicd("first", "resume", str(job_id), "--time-limit", "99999")
    assert done.returncode == 1
    assert change(made, "SELECT time_limit FROM jobs") == [(7200,)]


@pytest.mark.parametrize("budget", ["cost_limit", "monthly_budget"])
def test_a_job_out_of_money_pauses_and_goes_on_with_a_higher_budget(made: Installation, budget: str):
    """A call costs 0.003 USD; after the plan, nothing is left for the rest."""
    ordered(made, turns=1)
    if budget == "cost_limit":
        change(made, "UPDATE jobs SET cost_limit = 3000")
    else:
        asyncio.run(settle(made, SettingsValues(monthly_budget=3000)))
    made.worker("first")
    wait_for(made, JobState.PAUSED)
    job = the_job(made)
    assert job.status.paused_from is JobState.CODING
    assert "0.00 USD" in (job.reason or "")
    if budget == "monthly_budget":
        asyncio.run(settle(made, SettingsValues(monthly_budget=1_000_000)))
    done = made.aicd("first", "resume", str(job.id), "--budget", "1")
    assert done.returncode == 0, done.stderr
    ends_well(made)


def test_a_plan_is_approved_by_its_hash_only(made: Installation):
    job_id = ordered(made, turns=1)
    asyncio.run(settle(made, SettingsValues(plan_approval=PlanApproval.ALWAYS)))
    made.worker("first")
    wait_for(made, JobState.AWAITING_APPROVAL)
    wrong = made.aicd("first", "approve", str(job_id), "--plan", "0" * 64)
    assert wrong.returncode == 1
    waiting = wrong.stderr.decode().split("has the hash ")[1].split(",")[0]
    assert made.aicd("first", "approve", str(job_id), "--plan", waiting[:11]).returncode == 1
    assert the_job(made).status.state is JobState.AWAITING_APPROVAL
    right = made.aicd("first", "approve", str(job_id), "--plan", waiting[:12])
    assert right.returncode == 0, right.stderr
    ends_well(made)


def test_a_plan_that_is_sent_back_is_made_anew_with_the_comment(made: Installation):
    job_id = ordered(made, turns=1)
    asyncio.run(settle(made, SettingsValues(plan_approval=PlanApproval.ALWAYS)))
    made.worker("first")
    wait_for(made, JobState.AWAITING_APPROVAL)
    back = made.aicd("first", "approve", str(job_id), "--send-back", "Mind the gap.")
    assert back.returncode == 0, back.stderr
    wait_for_calls(made, 2)
    assert b"A person sent the plan back: Mind the gap." in made.model.calls()[1].request
    wait_for(made, JobState.AWAITING_APPROVAL)
    assert made.aicd("first", "approve", str(job_id)).returncode == 0
    wait_for(made, JobState.PR_OPEN)
    assert the_job(made).status.plan_attempts == 1


def test_the_first_job_of_a_worker_at_rest_waits_for_no_sweep(made: Installation):
    worker = made.worker("first", "--queues", "jobs")
    wait_until(lambda: "ready" in worker.said(), "a worker that is ready")
    ordered(made, turns=1)
    ends_well(made)


def test_a_worker_stopped_past_its_lease_leaves_the_tree_before_the_next_one_works_in_it(made: Installation):
    """Both are on one machine, and the command of the stopped one goes on: it may not write into the other's tree."""
    sleep = f"sleep 4.{new_uuid().int % 1_000_000:06}"
    ordered(made, turns=1, command=f"{sleep}; echo ran >> {DIARY}")
    first = made.worker("machine")
    wait_until(lambda: running(sleep), "the command")
    first.signal(signal.SIGSTOP)
    change(made, "UPDATE jobs SET lease_until = now(), woken_at = NULL")
    second = made.worker("machine")
    wait_until(lambda: f"/{second.pid}/" in (the_job(made).lease_owner or ""), "a job that was taken over")
    time.sleep(6)  # by then the first one's command has written
    first.signal(signal.SIGCONT)
    wait_for(made, JobState.PR_OPEN)
    diary = made.git("show", f"aicd/{the_job(made).id}:{DIARY}").splitlines()
    assert [line.split(b" ")[0] for line in diary] == [b"1", b"ran"]
