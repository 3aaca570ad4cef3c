"""Jobs through the API: made, found again, steered; what they do beyond who may, which the matrix shows."""

import subprocess
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest

from aicd_backend.testing.job_recipes import PLAN, make_job, move, repository, source, store_results
from aicd_backend.testing.world import SYSTEM, Headers, World
from aicd_core.ids import JobId, new_uuid
from aicd_core.jobs.machine import JobEvent
from aicd_core.tenancy.permissions import Role
from aicd_core.tenancy.repositories.service import configure, disconnect

ORG = "/v1/organizations/acme"
JOBS = f"{ORG}/jobs"
ISSUE = "Greet whoever calls\n\nBy name."
BAD_TEXTS = ["\x00", "a\x00b", "\ud800"]
"""What no text in the database can hold."""


@pytest.fixture
async def owner(world: World) -> Headers:
    return await world.as_role(Role.OWNER)


async def send(
    world: World, headers: Headers, method: str, path: str, body: Any = None, **query: Any
) -> httpx.Response:
    """A request whose answer is one that its route declares by its status."""
    answer = await world.client.request(method, path, headers=headers, json=body, params=query)
    document = world.app.openapi()["paths"]
    parts = path.split("/")
    (template,) = (
        known
        for known in document
        if len(known.split("/")) == len(parts)
        and all(mine.startswith("{") or mine == given for mine, given in zip(known.split("/"), parts, strict=True))
    )
    declared = document[template][method.lower()]["responses"]
    assert str(answer.status_code) in {*declared, "422"}, (template, answer.status_code, answer.text)
    return answer


async def create(world: World, headers: Headers, **fields: Any) -> httpx.Response:
    body = {"repository_id": str(await repository(world, world.us)), "issue": ISSUE, **fields}
    return await send(world, headers, "POST", JOBS, {name: value for name, value in body.items() if value is not None})


async def audited(world: World, headers: Headers, job_id: str) -> list[tuple[str, str, Any]]:
    """What the audit log says of a job, oldest first: action, who, detail."""
    found = await world.client.get(f"{ORG}/audit", headers=headers, params={"target_id": job_id})
    entries = reversed(found.json()["items"])
    return [(entry["action"], entry["actor_id"], entry["detail"]) for entry in entries]


def head() -> str:
    return subprocess.run(
        ["git", "-C", source(), "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_a_text_becomes_a_queued_job_on_the_branch_as_it_is_now(world: World, owner: Headers) -> None:
    made = await create(world, owner, priority=3, cost_limit_micro_usd=2_000_000, asks_approval=True)
    job = made.json()
    assert made.status_code == 201, made.text
    assert made.headers["location"] == f"{JOBS}/{job['id']}"
    assert (job["state"], job["title"], job["version"]) == ("queued", "Greet whoever calls", 0)
    assert (job["base_branch"], job["base_sha"], job["branch"]) == ("main", head(), f"aicd/{job['id']}")
    assert (job["priority"], job["cost_limit_micro_usd"], job["asks_approval"]) == (3, 2_000_000, True)
    assert (await send(world, owner, "GET", f"{JOBS}/{job['id']}")).json() == job
    ((action, who, _),) = await audited(world, owner, job["id"])
    assert (action, who) == ("job.created", str(world.us.members[Role.OWNER].id))


async def test_an_issue_has_one_open_job_and_a_second_request_names_it(world: World, owner: Headers) -> None:
    first = (await create(world, owner)).json()["id"]
    again = await create(world, owner)
    assert (*code(again), again.json()["job_id"]) == (409, "job_open", first)
    await send(world, owner, "POST", f"{JOBS}/{first}/cancel", {})
    assert (await create(world, owner)).status_code == 201


async def test_a_named_request_makes_one_job(world: World, owner: Headers) -> None:
    named = {**owner, "Idempotency-Key": "mine"}
    answers = [await create(world, named) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert len((await send(world, owner, "GET", JOBS)).json()["items"]) == 1


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"issue": None}, (400, "one_issue")),
        ({"issue_number": 7}, (400, "one_issue")),
        ({"issue": None, "issue_number": 7}, (400, "no_issues")),
        ({"issue": " \n"}, (400, "issue_empty")),
        ({"issue": "a\x00b"}, (400, "issue_has_nul")),
        ({"base_branch": "nowhere"}, (400, "no_such_base")),
        ({"base_branch": "a\x00b"}, (400, "no_such_base")),
        ({"agent": "nobody"}, (400, "unknown_agent")),
        ({"agent": "a\x00b"}, (400, "unknown_agent")),
        ({"priority": 101}, (422, "validation_failed")),
        ({"cost_limit_micro_usd": 0}, (422, "validation_failed")),
        ({"cost_limit_micro_usd": 1.5}, (422, "validation_failed")),
        ({"time_limit_seconds": 0.5}, (422, "validation_failed")),
        ({"surprise": 1}, (422, "validation_failed")),
        ({"repository_id": str(new_uuid())}, (404, "no_such_repository")),
    ],
)
async def test_a_job_that_cannot_be_is_refused(
    fields: dict[str, Any], told: tuple[int, str], world: World, owner: Headers
) -> None:
    assert code(await create(world, owner, **fields)) == told
    assert (await send(world, owner, "GET", JOBS)).json()["items"] == []


async def test_a_repository_that_is_out_of_use_gets_no_job(world: World, owner: Headers) -> None:
    of, tenant = await repository(world, world.us), world.us.tenant
    ended = await make_job(world, world.us)
    await move(world, world.us, ended, JobEvent.CANCELLED)
    async with world.stores.database.write(tenant) as session:
        await configure(session, tenant, SYSTEM, of, revision=1, enabled=False, installation_id=None)
    for answer in (await create(world, owner), await send(world, owner, "POST", f"{JOBS}/{ended}/retry")):
        assert code(answer) == (409, "disabled")
    async with world.stores.database.write(tenant) as session:
        await configure(session, tenant, SYSTEM, of, revision=2, enabled=True, installation_id=None)
        await disconnect(session, tenant, SYSTEM, of, revision=3, now=datetime.now(UTC))
    for answer in (
        await create(world, owner, repository_id=str(of)),
        await send(world, owner, "POST", f"{JOBS}/{ended}/retry"),
    ):
        assert code(answer) == (409, "disconnected")
    shown = (await send(world, owner, "GET", f"{ORG}/repositories/{of}")).json()
    assert shown["disconnected_at"] is not None


async def test_a_retry_is_a_new_job_of_the_same_issue_that_names_the_old_one(world: World, owner: Headers) -> None:
    first = (await create(world, owner, priority=5, time_limit_seconds=77.0)).json()
    path = f"{JOBS}/{first['id']}"
    still = await send(world, owner, "POST", f"{path}/retry")
    assert (*code(still), still.json()["job_id"]) == (409, "job_open", first["id"])
    await send(world, owner, "POST", f"{path}/cancel", {})
    retried = await send(world, owner, "POST", f"{path}/retry")
    second = retried.json()
    assert (retried.status_code, retried.headers["location"]) == (201, f"{JOBS}/{second['id']}")
    kept = ("title", "repository_id", "agent", "base_branch", "priority", "time_limit_seconds")
    assert {name: second[name] for name in kept} == {name: first[name] for name in kept}
    assert second["id"] != first["id"]
    (made,) = (await send(world, owner, "GET", f"{JOBS}/{second['id']}/events")).json()["items"]
    assert made["detail"]["retry_of"] == first["id"]
    assert [(action, detail) for action, _, detail in await audited(world, owner, second["id"])] == [
        ("job.created", {"retry_of": first["id"]})
    ]
    third = await send(world, owner, "POST", f"{path}/retry")
    assert (*code(third), third.json()["job_id"]) == (409, "job_open", second["id"])


async def test_a_cancelled_job_stays_so_and_is_noted_once(world: World, owner: Headers) -> None:
    job_id = await make_job(world, world.us)
    path = f"{JOBS}/{job_id}/cancel"
    first = await send(world, owner, "POST", path, {"reason": "Not wanted."})
    assert (first.status_code, first.json()["state"], first.json()["reason"]) == (200, "cancelled", "Not wanted.")
    again = await send(world, owner, "POST", path, {"reason": "Again."})
    assert again.json() == first.json()
    person = str(world.us.members[Role.OWNER].id)
    assert await audited(world, owner, str(job_id)) == [("job.cancelled", person, {"reason": "Not wanted."})]


async def test_an_open_pull_request_is_not_left_behind_unasked(world: World, owner: Headers) -> None:
    job_id = await make_job(world, world.us)
    await move(world, world.us, job_id, JobEvent.ADMITTED, JobEvent.PLAN_READY, JobEvent.CODED, JobEvent.PUBLISHED)
    path = f"{JOBS}/{job_id}/cancel"
    assert code(await send(world, owner, "POST", path, {})) == (409, "pull_request_open")
    done = await send(world, owner, "POST", path, {"open_pull_request": True})
    assert (done.status_code, done.json()["state"]) == (200, "cancelled")


async def _waiting(world: World) -> JobId:
    job_id = await make_job(world, world.us)
    await store_results(world, world.us, job_id)
    await move(world, world.us, job_id, JobEvent.APPROVAL_ASKED)
    return job_id


async def test_an_approval_is_of_the_plan_that_was_looked_at(world: World, owner: Headers) -> None:
    job_id = await _waiting(world)
    plan = (await send(world, owner, "GET", f"{JOBS}/{job_id}/plan")).json()
    path = f"{JOBS}/{job_id}/plan/approve"
    assert plan["hash"] == PLAN.structure_hash()
    assert code(await send(world, owner, "POST", path, {"plan_hash": "0" * 64})) == (409, "other_plan")
    done = await send(world, owner, "POST", path, {"plan_hash": plan["hash"]})
    assert (done.status_code, done.json()["state"]) == (200, "coding")
    assert code(await send(world, owner, "POST", path, {"plan_hash": plan["hash"]})) == (409, "illegal_transition")
    *_, approved = (await send(world, owner, "GET", f"{JOBS}/{job_id}/events")).json()["items"]
    person = str(world.us.members[Role.OWNER].id)
    assert (approved["event"], approved["detail"]) == (
        "approved",
        {"by": f"user {person}", "plan_hash": plan["hash"]},
    )
    assert await audited(world, owner, str(job_id)) == [("job.approved", person, {"plan_hash": plan["hash"]})]


async def test_a_plan_is_sent_back_with_what_to_do_otherwise(world: World, owner: Headers) -> None:
    job_id = await _waiting(world)
    path = f"{JOBS}/{job_id}/plan/send-back"
    assert (await send(world, owner, "POST", path, {"comment": "  "})).status_code == 400
    done = await send(world, owner, "POST", path, {"comment": "Smaller, please."})
    assert (done.status_code, done.json()["state"], done.json()["reason"]) == (200, "planning", "Smaller, please.")
    assert code(await send(world, owner, "POST", path, {"comment": "Once more."})) == (409, "illegal_transition")


async def test_a_paused_job_goes_on_with_its_limits_raised(world: World, owner: Headers) -> None:
    job_id = (await create(world, owner, cost_limit_micro_usd=1_000, time_limit_seconds=60.0)).json()["id"]
    path = f"{JOBS}/{job_id}/resume"
    raised = {"cost_limit_micro_usd": 5_000_000, "time_limit_seconds": 30.0}
    assert code(await send(world, owner, "POST", path, raised)) == (409, "illegal_transition")
    assert (await send(world, owner, "GET", f"{JOBS}/{job_id}")).json()["cost_limit_micro_usd"] == 1_000
    await move(world, world.us, JobId(UUID(job_id)), JobEvent.ADMITTED, JobEvent.LIMIT_REACHED)
    job = (await send(world, owner, "POST", path, raised)).json()
    assert (job["state"], job["paused_from"]) == ("planning", None)
    assert (job["cost_limit_micro_usd"], job["time_limit_seconds"]) == (5_000_000, 60.0)


async def test_what_cannot_be_written_into_the_audit_log_is_not_done(
    world: World, owner: Headers, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die(*_: object) -> None:
        raise RuntimeError("the process dies here")

    paused = await make_job(world, world.us)
    await move(world, world.us, paused, JobEvent.ADMITTED, JobEvent.LIMIT_REACHED)
    waiting, plan = await _waiting(world), {"plan_hash": PLAN.structure_hash()}
    acts: list[tuple[JobId, str, dict[str, Any]]] = [
        (await make_job(world, world.us), "cancel", {"reason": "No."}),
        (waiting, "plan/approve", plan),
        (waiting, "plan/send-back", {"comment": "No."}),
        (paused, "resume", {"time_limit_seconds": 7200.0}),
    ]
    before = [(await send(world, owner, "GET", f"{JOBS}/{job_id}")).json() for job_id, _, _ in acts]
    with monkeypatch.context() as broken:
        broken.setattr("aicd_backend.steering.record", die)
        for job_id, act, body in acts:
            failed = await world.client.post(f"{JOBS}/{job_id}/{act}", headers=owner, json=body)
            assert failed.status_code == 500, act
    assert [(await send(world, owner, "GET", f"{JOBS}/{job_id}")).json() for job_id, _, _ in acts] == before
    assert (await send(world, owner, "POST", f"{JOBS}/{paused}/resume", acts[-1][2])).json()["state"] == "planning"
    ((action, _, detail),) = await audited(world, owner, str(paused))
    assert (action, detail) == ("job.resumed", {"time_limit_seconds": 7200.0})


@pytest.mark.parametrize("bad", BAD_TEXTS)
async def test_a_text_that_cannot_be_kept_is_refused_and_changes_nothing(
    bad: str, world: World, owner: Headers
) -> None:
    job_id = await _waiting(world)
    before = (await send(world, owner, "GET", f"{JOBS}/{job_id}")).json()
    for path, name in (("cancel", "reason"), ("plan/send-back", "comment"), ("plan/approve", "plan_hash")):
        text = bad.replace("\x00", "\\u0000").replace("\ud800", "\\ud800") * 20
        answer = await world.client.post(
            f"{JOBS}/{job_id}/{path}",
            headers={**owner, "Content-Type": "application/json"},
            content=f'{{"{name}": "{text}"}}',
        )
        assert answer.status_code in {400, 409, 422}, (path, answer.text)
    assert (await send(world, owner, "GET", f"{JOBS}/{job_id}")).json() == before


async def test_jobs_are_found_by_what_they_are(world: World, owner: Headers) -> None:
    ids = [(await create(world, owner, issue=f"Greet {who}\n\nPlease.")).json()["id"] for who in ("Ada", "Bob", "Cem")]
    await send(world, owner, "POST", f"{JOBS}/{ids[1]}/cancel", {})

    async def found(**query: Any) -> list[int]:
        answer = await send(world, owner, "GET", JOBS, **query)
        assert answer.status_code == 200, answer.text
        return [ids.index(job["id"]) for job in answer.json()["items"]]

    assert await found() == [2, 1, 0]
    assert await found(sort="created_at") == [0, 1, 2]
    assert await found(sort="-updated_at") == [1, 2, 0]
    assert await found(sort="updated_at") == [0, 2, 1]
    assert await found(state="cancelled") == [1]
    assert await found(state=["cancelled", "queued"]) == [2, 1, 0]
    assert await found(title="aDA") == [0]
    assert await found(title="%") == []
    assert await found(agent="dummy", repository_id=str(await repository(world, world.us))) == [2, 1, 0]
    assert await found(repository_id=str(new_uuid())) == []
    assert await found(issue_number=7) == []
    middle = (await send(world, owner, "GET", f"{JOBS}/{ids[1]}")).json()["created_at"]
    assert await found(created_from=middle) == [2, 1]
    assert await found(created_before=middle) == [0]


@pytest.mark.parametrize("sort", ["created_at", "-created_at", "updated_at", "-updated_at"])
async def test_a_list_of_jobs_comes_in_pages(sort: str, world: World, owner: Headers) -> None:
    made = {str(await make_job(world, world.us)) for _ in range(5)}
    seen, cursor = list[str](), None
    while True:
        more = {"cursor": cursor} if cursor else {}
        page = (await send(world, owner, "GET", JOBS, sort=sort, limit=2, **more)).json()
        seen += [job["id"] for job in page["items"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert seen == sorted(made, reverse=sort.startswith("-"))


@pytest.mark.parametrize(
    ("query", "status"),
    [
        *(({name: "a\x00b"}, 400) for name in ("title", "agent")),
        ({"state": "sleeping"}, 422),
        ({"sort": "title"}, 422),
        ({"created_from": "2026-01-01T00:00:00"}, 422),
        ({"cursor": "bm9uc2Vuc2U"}, 400),
        *(({"cursor": cursor, "sort": "updated_at"}, 400) for cursor in ("bm9uc2Vuc2U", "_" * 32)),
        ({"issue_number": 2**31}, 422),
    ],
)
async def test_a_filter_that_cannot_be_is_refused(
    query: dict[str, str], status: int, world: World, owner: Headers
) -> None:
    assert (await send(world, owner, "GET", JOBS, **query)).status_code == status


async def test_a_history_comes_in_pages(world: World, owner: Headers) -> None:
    job_id = await make_job(world, world.us)
    await move(world, world.us, job_id, JobEvent.ADMITTED, JobEvent.PLAN_READY, JobEvent.CODED, JobEvent.CANCELLED)
    path, seen, cursor = f"{JOBS}/{job_id}/events", list[int](), None
    while True:
        page = (await send(world, owner, "GET", path, limit=2, **({"cursor": cursor} if cursor else {}))).json()
        seen += [event["version"] for event in page["items"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert seen == [0, 1, 2, 3, 4]
