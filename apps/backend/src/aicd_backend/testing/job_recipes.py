"""Jobs for tests of routes, brought where each route wants them, with everything that a job comes to."""

import base64
import subprocess
import zlib
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

from aicd_backend.testing.world import SYSTEM, Org, World
from aicd_core.attestation import Envelope
from aicd_core.contracts import (
    Change,
    ChangeSet,
    CodedChange,
    Plan,
    PolicyReport,
    PolicyVerdict,
    PullRequest,
    Review,
    ReviewVerdict,
    TestLogs,
    TestReport,
)
from aicd_core.contracts.change import FileChange, FileOp
from aicd_core.contracts.evidence import CommandLog
from aicd_core.contracts.values import Value
from aicd_core.ids import JobId, RepositoryId
from aicd_core.jobs import repository as jobs
from aicd_core.jobs.artifacts.repository import store_artifact
from aicd_core.jobs.leases.repository import free_leases
from aicd_core.jobs.machine import JobEvent, decide
from aicd_core.jobs.models import ArtifactKind
from aicd_core.jobs.values import JobView, NewJob, Transition
from aicd_core.tenancy.repositories.repository import find_repository
from aicd_core.tenancy.repositories.service import connect
from aicd_core.testing.agents import plan_for
from aicd_core.testing.leases import take_lease

Prepare = Callable[[World, Org, str], Awaitable[None]]
OWNER = "a worker"
SHA = "c" * 40
PATCH = (
    b"diff --git a/greeting.txt b/greeting.txt\nnew file mode 100644\n--- /dev/null\n+++ b/greeting.txt\n"
    b"@@ -0,0 +1 @@\n+hi\n"
)
COMMAND = "make test"


@cache
def _place() -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix="aicd-jobs-")  # removed when the process ends


@cache
def source() -> str:
    """A repository on this machine with one commit."""
    place = str(Path(_place().name) / "repository")
    for arguments in (
        ("init", "--quiet", "--initial-branch=main", place),
        (
            "-C",
            place,
            *("-c", "user.name=a", "-c", "user.email=a@b.test"),
            "commit",
            "-q",
            "--allow-empty",
            "-m",
            "One",
        ),
    ):
        subprocess.run(["git", *arguments], check=True)
    return place


async def repository(world: World, org: Org) -> RepositoryId:
    """The organization's repository."""
    async with world.stores.database.write(org.tenant) as session:
        known = await find_repository(session, org.tenant, source())
        return (known or await connect(session, org.tenant, SYSTEM, source())).id


async def make_job(world: World, org: Org) -> JobId:
    """A queued job."""
    of = await repository(world, org)
    new = NewJob(of, "dummy", "Greet", f"Greet number {next(world.numbers)}", "main", SHA, 60.0)
    async with world.stores.database.write(org.tenant) as session:
        made = await jobs.insert_job(session, org.tenant, new)
    assert made is not None
    return made


async def job(world: World, org: Org) -> str:
    """A queued job, as it stands in a path."""
    return str(await make_job(world, org))


async def move(world: World, org: Org, job_id: JobId, *events: JobEvent) -> JobView:
    """Has these things happen to a job."""
    for event in events:
        async with world.stores.database.write(org.tenant) as session:
            known = await jobs.get_job(session, org.tenant, job_id)
            assert known is not None
            change = Transition(known, event, decide(known.status, event))
            assert await jobs.apply_transition(session, org.tenant, change)
    async with world.stores.database.read(org.tenant) as session:
        found = await jobs.get_job(session, org.tenant, job_id)
    assert found is not None
    return found


PLAN: Plan = plan_for(SHA, "greeting.txt")
_FILE = FileChange(path="greeting.txt", op=FileOp.CREATE, new_mode="100644", added_lines=1, new_size=3)
RESULTS: Mapping[ArtifactKind, Value] = {
    ArtifactKind.PLAN: PLAN,
    ArtifactKind.CHANGE: CodedChange(
        change=Change(summary="It greets."),
        change_set=ChangeSet(base_sha=SHA, tree_sha="d" * 40, files=(_FILE,), patch=PATCH),
    ),
    ArtifactKind.TEST_REPORT: TestReport(),
    ArtifactKind.TEST_LOGS: TestLogs(logs=(CommandLog(command=COMMAND, content=zlib.compress(b"all good\n")),)),
    ArtifactKind.POLICY_REPORT: PolicyReport(verdict=PolicyVerdict.ALLOW, evaluated=("size",)),
    ArtifactKind.REVIEW: Review(verdict=ReviewVerdict.APPROVE),
    ArtifactKind.EVIDENCE: Envelope(
        payload_type="application/vnd.in-toto+json", payload=base64.b64encode(b"{}").decode(), signatures=()
    ),
    ArtifactKind.PULL_REQUEST: PullRequest(
        url="https://code.test/pull/1", number=1, draft=False, branch="aicd/1", head_sha=SHA, base_branch="main"
    ),
}


async def store_results(world: World, org: Org, job_id: JobId) -> None:
    """Everything that a worker stores of a job's first round."""
    assert await take_lease(world.stores.system, job_id, OWNER)
    async with world.stores.database.write(org.tenant) as session:
        for kind, value in RESULTS.items():
            content = value.model_dump_json().encode()
            await store_artifact(session, org.tenant, job_id, OWNER, kind, 1, content)
    # Given back: an organization has so many leases at once, and a test asks for more jobs than that.
    async with world.stores.system.write() as system:
        await free_leases(system, [OWNER])


def _job_in(path: str) -> JobId:
    return JobId(UUID(path.partition("/jobs/")[2].partition("/")[0]))


async def _with_results(world: World, org: Org, path: str) -> None:
    await store_results(world, org, _job_in(path))


async def _waiting(world: World, org: Org, path: str) -> None:
    await store_results(world, org, _job_in(path))
    await move(world, org, _job_in(path), JobEvent.APPROVAL_ASKED)


async def _paused(world: World, org: Org, path: str) -> None:
    await move(world, org, _job_in(path), JobEvent.ADMITTED, JobEvent.LIMIT_REACHED)


async def _ended(world: World, org: Org, path: str) -> None:
    await move(world, org, _job_in(path), JobEvent.CANCELLED)


BEFORE: Mapping[str, Prepare] = {
    **dict.fromkeys(("approve_plan", "send_back_plan"), _waiting),
    **dict.fromkeys(("retry_job", "stream_job_events"), _ended),
    "resume_job": _paused,
    **dict.fromkeys(
        ("get_plan", "get_diff", "get_patch", "get_tests", "get_policy_report", "get_pull_request", "get_evidence"),
        _with_results,
    ),
}
"""By operation: how its job has to be for it."""


async def _new_job(world: World, org: Org) -> dict[str, str]:
    return {"repository_id": str(await repository(world, org)), "issue": f"Greet number {next(world.numbers)}"}


async def _approval(_world: World, _org: Org) -> dict[str, str]:
    return {"plan_hash": PLAN.structure_hash()}


BODIES: Mapping[str, Callable[[World, Org], Awaitable[dict[str, str]]]] = {
    "create_job": _new_job,
    "approve_plan": _approval,
}
"""By operation: what is sent."""
