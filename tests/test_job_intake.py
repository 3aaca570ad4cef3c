"""Which job an issue gets: a new one, the one that is there, or none."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from aicd_core.db.pages import PageRequest
from aicd_core.errors import ConflictError, InvalidInputError
from aicd_core.jobs.machine import JobState
from aicd_core.orchestrator.intake import INTAKE
from aicd_core.tenancy.audit.repository import list_entries
from aicd_core.tenancy.organizations import service as organizations
from aicd_core.tenancy.repositories import service as repositories
from aicd_core.tenancy.repositories.service import take_up
from conftest import Body
from scripted_jobs import NO_TESTS, configure, creating, source, use

__all__ = ["source"]


async def test_anew_ends_the_unfinished_job_and_starts_another(body: Body, source: Path):
    configure(source, NO_TESTS + "plan_approval: always\n")
    use(body, creating("new.txt"))
    first = await body.run(source, "Add a file")
    second = await body.take(source, "Add a file", anew=True)
    assert second.made
    assert second.job.id != first.job.id
    assert (await body.drive(first.job)).job.state is JobState.CANCELLED


async def test_a_second_run_of_an_open_issue_finds_its_pull_request(body: Body, source: Path):
    agent = use(body, creating("new.txt"))
    first = await body.run(source, "Add a file")
    second = await body.run(source, "Add a file")
    assert second.job.id == first.job.id
    assert second.pull_request == first.pull_request
    assert len(agent.feedbacks) == 1


async def test_a_repository_that_a_job_names_is_connected_once_and_on_the_record(body: Body, source: Path):
    use(body, creating("new.txt"))
    await body.run(source, "Add a file")
    await body.run(source, "Add another")
    async with body.database.read(body.tenant) as session:
        log = await list_entries(session, body.tenant, PageRequest())
    assert [(entry.action, entry.detail) for entry in log.items] == [("repository.connected", {"source": str(source)})]


async def test_a_source_that_no_index_can_hold_is_refused_before_anything_is_made(body: Body):
    long = "/" + "/".join(uuid4().hex * 3 for _ in range(30))
    with pytest.raises(InvalidInputError, match="2,000"):
        async with body.database.write(body.tenant) as session:
            await take_up(session, body.tenant, INTAKE, long)


async def test_no_job_begins_on_a_repository_that_is_off_or_in_a_deleted_organization(body: Body, source: Path):
    async with body.database.write(body.tenant) as session:
        known = await repositories.connect(session, body.tenant, INTAKE, str(source))
        await repositories.configure(
            session, body.tenant, INTAKE, known.id, revision=known.revision, enabled=False, installation_id=None
        )
    with pytest.raises(ConflictError, match="switched off"):
        await body.take(source, "Add a file")
    async with body.database.write(body.tenant) as session:
        found = await organizations.require_organization(session, body.tenant)
        await organizations.delete(session, body.tenant, INTAKE, revision=found.revision, now=datetime.now(UTC))
    with pytest.raises(ConflictError, match="is deleted"):
        await body.take(source, "Add a file")
