"""What a job came to, and what it used, as it is shown."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from aicd_backend.testing.job_recipes import COMMAND, OWNER, PATCH, RESULTS, SHA, make_job, repository, store_results
from aicd_backend.testing.world import Headers, World
from aicd_core.contracts import ModelRequest, Review, ReviewVerdict, Usage
from aicd_core.ids import JobId
from aicd_core.jobs.artifacts.repository import store_artifact
from aicd_core.jobs.leases.repository import free_leases
from aicd_core.jobs.models import ArtifactKind
from aicd_core.journal import repository as journal
from aicd_core.journal.texts import Known
from aicd_core.journal.values import Call
from aicd_core.tenancy.permissions import Role
from aicd_core.testing.leases import take_lease
from aicd_core.usage import repository as ledger

ORG = "/v1/organizations/acme"
COUNTERS = ("input_tokens", "cached_input_tokens", "cache_write_tokens", "output_tokens", "cost_micro_usd")
RESULT_PATHS = ("plan", "diff", "patch", "tests", "policy", "pull-request", "evidence")


@pytest.fixture
async def viewer(world: World) -> Headers:
    return await world.as_role(Role.VIEWER)


async def get(world: World, headers: Headers, path: str, **query: Any) -> httpx.Response:
    return await world.client.get(f"{ORG}/{path}", headers=headers, params=query)


async def store(world: World, job_id: JobId, kind: ArtifactKind, number: int, content: str) -> None:
    assert await take_lease(world.stores.system, job_id, OWNER)
    async with world.stores.database.write(world.us.tenant) as session:
        await store_artifact(session, world.us.tenant, job_id, OWNER, kind, number, content.encode())
    async with world.stores.system.write() as system:
        await free_leases(system, [OWNER])


@pytest.fixture
async def done(world: World) -> str:
    """The path of a job with all results."""
    job_id = await make_job(world, world.us)
    await store_results(world, world.us, job_id)
    return f"jobs/{job_id}"


@pytest.mark.parametrize("what", RESULT_PATHS)
async def test_what_is_not_there_yet_is_not_found(what: str, world: World, viewer: Headers) -> None:
    answer = await get(world, viewer, f"jobs/{await make_job(world, world.us)}/{what}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_there_yet")


async def test_results_are_what_the_worker_stored(world: World, viewer: Headers, done: str) -> None:
    shown = {what: (await get(world, viewer, f"{done}/{what}")).json() for what in RESULT_PATHS if what != "patch"}
    for what, kind in (
        ("policy", ArtifactKind.POLICY_REPORT),
        ("pull-request", ArtifactKind.PULL_REQUEST),
    ):
        assert shown[what] == RESULTS[kind].model_dump(mode="json")
    assert shown["plan"]["plan"] == RESULTS[ArtifactKind.PLAN].model_dump(mode="json")
    assert shown["tests"]["logs"] == [{"command": COMMAND, "text": "all good\n"}]
    assert (shown["diff"]["base_sha"], shown["diff"]["patch"]) == (SHA, PATCH.decode())
    assert [(file["path"], file["op"], file["added_lines"]) for file in shown["diff"]["files"]] == [
        ("greeting.txt", "create", 1)
    ]


async def test_a_patch_is_a_file_byte_for_byte(world: World, viewer: Headers, done: str) -> None:
    answer = await get(world, viewer, f"{done}/patch")
    assert answer.content == PATCH
    assert answer.headers["content-type"].startswith("text/x-diff")
    assert answer.headers["content-disposition"].startswith("attachment; filename=")


async def test_evidence_is_a_file_for_aicd_verify(world: World, viewer: Headers, done: str) -> None:
    answer = await get(world, viewer, f"{done}/evidence")
    assert answer.headers["content-disposition"].endswith('.evidence.json"')
    assert json.loads(answer.content)["payloadType"] == "application/vnd.in-toto+json"


async def test_results_are_of_the_newest_round_or_of_the_one_that_is_asked_for(
    world: World, viewer: Headers, done: str
) -> None:
    job_id = JobId(UUID(done.removeprefix("jobs/")))
    second = RESULTS[ArtifactKind.CHANGE].model_copy(update={"change": {"summary": "Once more."}})
    await store(world, job_id, ArtifactKind.CHANGE, 2, second.model_dump_json(warnings=False))
    await store(world, job_id, ArtifactKind.REVIEW, 2, Review(verdict=ReviewVerdict.REJECT).model_dump_json())
    summaries = [
        (await get(world, viewer, f"{done}/diff", **query)).json()["summary"]
        for query in ({}, {"round": 1}, {"round": 2})
    ]
    assert summaries == ["Once more.", "It greets.", "Once more."]
    assert (await get(world, viewer, f"{done}/diff", round=3)).json()["code"] == "not_there_yet"
    reviews = (await get(world, viewer, f"{done}/reviews")).json()
    assert [(review["round"], review["review"]["verdict"]) for review in reviews] == [(1, "approve"), (2, "reject")]


async def test_usage_is_counted_by_day_repository_and_model(world: World, viewer: Headers) -> None:
    job_id, tenant = await make_job(world, world.us), world.us.tenant
    usage = Usage(input_tokens=1, cached_input_tokens=2, cache_write_tokens=3, output_tokens=4, cost_micro_usd=5)
    assert await take_lease(world.stores.system, job_id, OWNER)
    async with world.stores.database.write(tenant) as session:
        call = Call("code/1", 0, ModelRequest(model="small", content=b"?"))
        texts = Known().texts(call.step, "small", b"?", b"!")
        assert await journal.store_call(session, tenant, job_id, OWNER, call, texts)
        await ledger.add_entry(session, tenant, job_id, call.entry_key, usage)
    today, counted = datetime.now(UTC).date(), dict(zip(COUNTERS, (1, 2, 3, 4, 5), strict=True))
    assert (await get(world, viewer, f"jobs/{job_id}/usage")).json() == counted
    # Yesterday, too: the day may end while the test runs.
    span = {"first": str(today - timedelta(days=1)), "last": str(today + timedelta(days=1))}
    for by, name, value in (
        ("repository", "repository_id", str(await repository(world, world.us))),
        ("model", "model", "small"),
    ):
        report = (await get(world, viewer, "usage", by=by, **span)).json()
        assert report["total"] == counted
        assert [(row[name], row["entries"], row["usage"]) for row in report["rows"]] == [(value, 1, counted)]
    days = (await get(world, viewer, "usage", **span)).json()["rows"]
    assert [(row["entries"], row["usage"]) for row in days] == [(1, counted)]
    long_ago = (await get(world, viewer, "usage", first="2020-01-01", last="2020-01-02")).json()
    assert (long_ago["rows"], long_ago["total"]["cost_micro_usd"]) == ([], 0)
    rival = await world.client.get("/v1/organizations/rival/usage", headers=await world.as_key(org=world.rival))
    assert rival.json()["rows"] == []


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"first": "2026-02-02", "last": "2026-02-01"}, 400),
        ({"first": "2024-01-01", "last": "2026-01-01"}, 400),
        ({"last": "9999-12-31"}, 400),
        ({"first": "0001-01-01", "last": "0001-01-02"}, 200),
        ({"last": "0001-01-01"}, 200),
        ({"by": "person"}, 422),
        ({"first": "today"}, 422),
    ],
)
async def test_a_span_that_cannot_be_is_refused(
    query: dict[str, str], status: int, world: World, viewer: Headers
) -> None:
    assert (await get(world, viewer, "usage", **query)).status_code == status
