"""Erasing a tenant for good, in bounded steps that can be broken off anywhere and begun again."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.exc import IntegrityError

from aicd_core.db.database import Database
from aicd_core.errors import ConflictError, NotFoundError
from aicd_core.portability import repository
from aicd_core.portability.tables import table_of, tenant_models
from aicd_core.tenancy import Tenant
from aicd_core.usage.models import UsageEntry

BATCH = 500
"""Rows of one transaction: short enough that nobody waits for its locks."""


@dataclass(frozen=True)
class Erasure:
    """How many rows of a table are gone; told after each batch."""

    table: str
    rows: int


async def erase(
    owner: Database,
    tenant: Tenant,
    *,
    now: datetime,
    force: bool = False,
    batch: int = BATCH,
    observe: Callable[[Erasure], None] = lambda _: None,
) -> None:
    """Removes every row of a tenant; of its ledger the sums stay, in `erased_ledgers`.

    The organization's own row goes last: after a crash the same call takes up where it was broken off. People
    (users, identities, sessions) belong to no tenant and stay, as do files on disk.

    Args:
        owner: connections as a role that may become the tables' owner, such as the one that migrates.
        force: take jobs away from the workers that have them.

    Raises:
        ConflictError: jobs are at work, or somebody still writes; nothing that was removed comes back.
    """
    await _begin(owner, tenant, now, force=force)
    try:
        for model in reversed(tenant_models()):
            await _empty(owner, tenant, model, batch, observe)
    except IntegrityError as error:
        raise ConflictError(
            "Somebody added rows to the organization while it was erased. Stop the workers and run the same command "
            "again; it goes on where it stopped.",
            code="still_written",
        ) from error


async def _begin(owner: Database, tenant: Tenant, now: datetime, *, force: bool) -> None:
    async with owner.write(tenant) as session:
        await repository.become_owner(session)
        if (busy := await repository.count_at_work(session, tenant)) and not force:
            raise ConflictError(
                f"{busy} job(s) of the organization are at work. Cancel them or wait, or take them away from their "
                "workers with --force.",
                code="jobs_at_work",
            )
        marked = await repository.mark_deleted(session, tenant, now)
        first = await repository.open_erased_ledger(session, tenant)
        if first and not marked:
            raise NotFoundError(
                f"There is no organization {tenant.org_id} in the database of AICD_MIGRATION_DATABASE_URL, and nothing "
                "was erased: that is another database than AICD_DATABASE_URL names.",
                code="no_such_organization",
            )
        await repository.fence_jobs(session, tenant)


async def _empty(owner: Database, tenant: Tenant, model: type, batch: int, observe: Callable[[Erasure], None]) -> None:
    """Removes the tenant's rows from one table, one transaction for each batch."""
    rows = 0
    while True:
        async with owner.write(tenant) as session:
            await repository.become_owner(session)
            if model is UsageEntry:
                gone = await repository.fold_entries(session, tenant, batch)
            else:
                gone = await repository.delete_some(session, tenant, model, batch)
        rows += gone
        if gone:
            observe(Erasure(table_of(model).name, rows))
        if gone < batch:
            return
