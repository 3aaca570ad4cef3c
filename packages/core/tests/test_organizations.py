"""Organizations: made once, renamed, deleted and brought back, set up."""

from datetime import UTC, datetime

import pytest

from aicd_core.db.database import Database, SystemDatabase
from aicd_core.db.pages import PageRequest
from aicd_core.errors import ConflictError, InvalidInputError, NotFoundError
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.audit.models import ActorKind
from aicd_core.tenancy.audit.repository import list_entries
from aicd_core.tenancy.audit.values import Actor
from aicd_core.tenancy.organizations import repository, service
from aicd_core.tenancy.organizations.models import PlanApproval
from aicd_core.tenancy.organizations.values import SettingsValues
from aicd_core.tenancy.triggers import RepositoryPermission, TriggerRules

ACTOR = Actor(ActorKind.SYSTEM, "test")
NOW = datetime(2026, 11, 1, tzinfo=UTC)


async def actions(database: Database, tenant: Tenant) -> list[str]:
    async with database.read(tenant) as session:
        return [entry.action for entry in (await list_entries(session, tenant, PageRequest())).items]


async def test_a_new_organization_is_set_up_once(database: Database, system: SystemDatabase):
    async with system.write() as session:
        tenant = await service.create_organization(session, "new-org", "New Org")
    for _ in range(2):
        async with database.write(tenant) as session:
            await service.set_up_organization(session, tenant, ACTOR)
    async with database.read(tenant) as session:
        found = await service.require_organization(session, tenant)
        settings = await service.get_settings(session, tenant)
    assert (found.slug, found.name, found.revision, found.deleted_at) == ("new-org", "New Org", 1, None)
    assert (settings.values, settings.revision) == (SettingsValues(), 1)
    assert await actions(database, tenant) == ["organization.created"]


@pytest.mark.parametrize("slug", ["", "-a", "Acme", "a b", "a" * 64, "ä", "a\n", "a\0", "'; DROP TABLE jobs"])
async def test_a_bad_slug_is_refused_with_the_rule(system: SystemDatabase, slug: str):
    with pytest.raises(InvalidInputError, match="1 to 63 lower-case") as caught:
        async with system.write() as session:
            await service.create_organization(session, slug, "Name")
    assert caught.value.code == "bad_slug"


async def test_a_slug_stays_taken_even_by_a_deleted_organization(
    database: Database, system: SystemDatabase, tenant: Tenant
):
    async with database.write(tenant) as session:
        await service.delete(session, tenant, ACTOR, revision=1, now=NOW)
    with pytest.raises(ConflictError) as caught:
        async with system.write() as session:
            await service.create_organization(session, "acme", "Other")
    assert caught.value.code == "slug_taken"
    async with system.read() as session:
        assert await service.require_by_slug(session, "acme") == tenant
        with pytest.raises(NotFoundError):
            await service.require_by_slug(session, "acme\0")


async def test_a_rename_of_an_older_revision_changes_nothing(database: Database, tenant: Tenant):
    async with database.write(tenant) as session:
        assert (await service.rename(session, tenant, ACTOR, "Ünï\u202e", revision=1)).name == "Ünï\u202e"
    with pytest.raises(ConflictError) as caught:
        async with database.write(tenant) as session:
            await service.rename(session, tenant, ACTOR, "Late", revision=1)
    assert caught.value.code == "stale_revision"
    assert await actions(database, tenant) == ["organization.renamed"]


@pytest.mark.parametrize("name", ["", " ", "a" * 201, "a\0", "\udfff"])
async def test_a_name_that_cannot_be_kept_is_refused(database: Database, tenant: Tenant, name: str):
    with pytest.raises(InvalidInputError):
        async with database.write(tenant) as session:
            await service.rename(session, tenant, ACTOR, name, revision=1)


async def test_a_deleted_organization_can_be_restored(database: Database, tenant: Tenant):
    async with database.write(tenant) as session:
        gone = await service.delete(session, tenant, ACTOR, revision=1, now=NOW)
        assert gone.deleted_at == NOW
        with pytest.raises(ConflictError, match="deleted already"):
            await service.delete(session, tenant, ACTOR, revision=2, now=NOW)
        back = await service.restore(session, tenant, ACTOR, revision=gone.revision)
        assert (back.deleted_at, back.revision) == (None, 3)
        with pytest.raises(ConflictError, match="not deleted"):
            await service.restore(session, tenant, ACTOR, revision=3)
    assert await actions(database, tenant) == ["organization.restored", "organization.deleted"]


async def test_settings_begin_with_the_defaults_and_are_edited_by_revision(database: Database, tenant: Tenant):
    wanted = SettingsValues("brain", "m-1", 2_000_000, 0, 1000, PlanApproval.ALWAYS)
    async with database.write(tenant) as session:
        assert (await service.get_settings(session, tenant)).revision == 0
        assert (await service.edit_settings(session, tenant, ACTOR, wanted, revision=0)).revision == 1
        again = await service.edit_settings(session, tenant, ACTOR, SettingsValues(), revision=1)
        assert await service.get_settings(session, tenant) == again
        for stale in (0, 1, 3):
            with pytest.raises(ConflictError, match="settings"):
                await service.edit_settings(session, tenant, ACTOR, wanted, revision=stale)
    async with database.read(tenant) as session:
        entry = (await list_entries(session, tenant, PageRequest())).items[1]
    assert entry.detail["job_budget"] == {"from": None, "to": 2_000_000}
    assert entry.detail["plan_approval"] == {"from": "never", "to": "always"}


@pytest.mark.parametrize(
    "values",
    [
        SettingsValues(agent=""),
        SettingsValues(model="m\0"),
        SettingsValues(job_budget=-1),
        SettingsValues(monthly_budget=2**63),
        SettingsValues(issue_budget=-1),
        SettingsValues(repository_budget=2**63),
        SettingsValues(max_concurrent_jobs=0),
        SettingsValues(max_concurrent_jobs=1001),
        SettingsValues(allowed_bots=("",)),
        SettingsValues(allowed_bots=("a bot",)),
        SettingsValues(allowed_bots=("renovate[bot]\n",)),
        SettingsValues(allowed_bots=("renovate[bot]", "Renovate[bot]")),
        SettingsValues(allowed_bots=tuple(f"bot-{number}" for number in range(101))),
        SettingsValues(minimum_permission=RepositoryPermission.READ),
        SettingsValues(minimum_permission=RepositoryPermission.NONE),
    ],
)
async def test_settings_out_of_bounds_are_refused(database: Database, tenant: Tenant, values: SettingsValues):
    with pytest.raises(InvalidInputError):
        async with database.write(tenant) as session:
            await service.edit_settings(session, tenant, ACTOR, values, revision=0)


async def test_an_organization_says_who_may_start_work(database: Database, tenant: Tenant):
    wanted = SettingsValues(allowed_bots=("renovate[bot]",), minimum_permission=RepositoryPermission.MAINTAIN)
    async with database.write(tenant) as session:
        before = await service.get_settings(session, tenant)
        await service.edit_settings(session, tenant, ACTOR, wanted, revision=0)
        after = await service.get_settings(session, tenant)
        entry = (await list_entries(session, tenant, PageRequest())).items[0]
    assert before.values.trigger_rules() == TriggerRules()
    assert after.values == wanted
    assert after.values.trigger_rules() == TriggerRules(("renovate[bot]",), RepositoryPermission.MAINTAIN)
    assert entry.detail["allowed_bots"] == {"from": [], "to": ["renovate[bot]"]}


async def test_all_tenants_are_listed_in_steps(system: SystemDatabase, tenant: Tenant, rival: Tenant):
    async with system.read() as session:
        assert await repository.list_tenants(session, None, 1) == [tenant]
        assert await repository.list_tenants(session, tenant.org_id, 10) == [rival]
