"""What is stored of a job, as a verifier compares an evidence bundle with it."""

import asyncio
import hashlib
from dataclasses import replace

from aicd_core.attestation import Envelope, Predicate, StoredFacts
from aicd_core.contracts import Plan, PolicyReport, TestReport
from aicd_core.db.database import Database
from aicd_core.db.sessions import ReadSession
from aicd_core.errors import NotFoundError
from aicd_core.ids import JobId
from aicd_core.jobs import repository as jobs
from aicd_core.jobs.artifacts import repository as artifacts
from aicd_core.jobs.machine import TERMINAL
from aicd_core.jobs.models import ArtifactKind
from aicd_core.jobs.service import require_job
from aicd_core.journal import repository as journal
from aicd_core.journal.digest import chain
from aicd_core.journal.values import CallDigest
from aicd_core.orchestrator.attesting import commands_of, ledger_lines, prompts_of
from aicd_core.orchestrator.records import is_let_go, read_books
from aicd_core.tenancy import Tenant


async def read_bundle(database: Database, tenant: Tenant, job_id: JobId) -> bytes:
    """The file of a job's newest evidence bundle.

    Raises:
        NotFoundError: there is no such job (`no_such_job`), or it has published nothing (`no_evidence`).
    """
    async with database.read(tenant) as session:
        await require_job(session, tenant, job_id)
        content = await artifacts.get_artifact(session, tenant, job_id, ArtifactKind.EVIDENCE)
    if content is None:
        raise NotFoundError(
            f"Job {job_id} has no evidence: it is made when the pull request is opened.", code="no_evidence"
        )
    return Envelope.model_validate_json(content).file()


async def read_stored_facts(database: Database, tenant: Tenant, job_id: JobId, told: Predicate) -> StoredFacts | None:
    """What is stored for the round that a statement tells of; None when the job is not known here."""
    async with database.read(tenant) as session:
        key = (session, tenant, job_id)
        job = await jobs.get_job(*key)
        if job is None:
            return None
        bundle = await artifacts.get_artifact(*key, ArtifactKind.EVIDENCE, told.round)
        plan = await artifacts.get_artifact(*key, ArtifactKind.PLAN, job.status.plan_attempts)
        tests = await artifacts.get_artifact(*key, ArtifactKind.TEST_REPORT, told.round)
        policy = await artifacts.get_artifact(*key, ArtifactKind.POLICY_REPORT, told.round)
        books = await read_books(*key)
        gone = job.state in TERMINAL and await is_let_go(*key)  # of a job that goes on, nobody lets go
        there = books.calls if gone else await _as_they_are(*key, books.calls)
    told_calls = there[: told.journal.calls]
    enough = len(there) >= told.journal.calls
    return StoredFacts(
        bundle=Envelope.model_validate_json(bundle).file() if bundle else None,
        issue_sha256=hashlib.sha256(job.body.encode()).hexdigest(),
        journal=chain(told_calls) if enough else None,
        prompts=prompts_of(told_calls) if enough else None,
        entries=ledger_lines(books),
        plan_sha256=Plan.model_validate_json(plan).structure_hash() if plan else None,
        commands=commands_of(TestReport.model_validate_json(tests)) if tests else None,
        policy=PolicyReport.model_validate_json(policy).verdict if policy else None,
        texts_gone=gone,
    )


async def _as_they_are(
    session: ReadSession, tenant: Tenant, job_id: JobId, calls: tuple[CallDigest, ...]
) -> tuple[CallDigest, ...]:
    """The calls with the hashes of the texts that are there now; of one that is damaged there is none."""
    packed = await journal.get_contents(session, tenant, job_id)
    found = []
    for digest, call in zip(calls, await journal.list_calls(session, tenant, job_id), strict=False):
        request, reply = await asyncio.to_thread(call.texts, packed)
        asked = b"" if request is None else call.request_sha256
        told = b"" if reply is None else call.reply_sha256
        found.append(replace(digest, request_sha256=asked, reply_sha256=told))
    return tuple(found)
