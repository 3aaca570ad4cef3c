"""What the operator does about billing, each in a process of its own: `aicd billing …`."""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from aicd_backend.billing.accounts import repository as accounts
from aicd_backend.billing.correcting import Corrector
from aicd_backend.billing.exporter import Exporter, open_api
from aicd_backend.billing.exports import repository as exports
from aicd_backend.billing.plans import PICO_PER_MICRO, Plans
from aicd_backend.billing.stripe_faults import StripeFault
from aicd_backend.billing.syncing import sync
from aicd_backend.settings import BackendSettings
from aicd_cli.logs import begin_to_log
from aicd_cli.runtime import open_store
from aicd_cli.serving import stopped_by_signals
from aicd_core.errors import InvalidInputError, UnavailableError
from aicd_core.ids import ExportId
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.audit.models import ActorKind
from aicd_core.tenancy.audit.values import Actor
from aicd_core.tenancy.organizations.service import require_by_slug
from aicd_core.usage.billing.models import ExportState

OPERATOR = Actor(ActorKind.SYSTEM, "cli")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Operations:
    """Billing, opened for one command."""

    exporter: Exporter
    corrector: Corrector

    async def sync(self) -> list[str]:
        """As `syncing.sync`."""
        with _told():
            return await sync(self.exporter.api, self.exporter.charger.plans)

    async def export(self, *, once: bool) -> int:
        """Exports until a stop signal, or what is due now; how many meter events were sent then."""
        with _told():
            if once:
                return await self.exporter.work_once()
            log.info("exporting to Stripe (%s)", self.exporter.api.mode.value)
            with stopped_by_signals(self.exporter.stop):
                await self.exporter.run()
            return 0

    async def reconcile(self, day: date) -> list[dict[str, Any]]:
        """Compares a day: each meter of each organization in all books, and whether two of them differ."""
        if day >= datetime.now(UTC).date():
            raise InvalidInputError(f"{day} is not over yet: name a day of UTC before today.", code="day_not_over")
        with _told():
            found = await self.exporter.reconcile(day)
        return [{"organization_id": str(org_id), "differs": one.differs, **_plain(one)} for org_id, one in found]

    async def dead(self, slug: str) -> list[dict[str, Any]]:
        """The dead meter events of an organization."""
        async with self.exporter.database.read(tenant := await self.tenant(slug)) as session:
            found = await exports.list_exports(session, tenant, ExportState.DEAD)
        names = ("id", "meter", "quantity", "occurred_at", "code", "reason")
        return [{name: _value(getattr(one, name)) for name in names} for one in found]

    async def resend(self, slug: str, export_id: UUID | None) -> int:
        """As `Corrector.resend`."""
        one = None if export_id is None else ExportId(export_id)
        return await self.corrector.resend(await self.tenant(slug), one, datetime.now(UTC))

    async def cancel(self, slug: str, export_id: UUID, reason: str) -> None:
        """As `Corrector.cancel`."""
        with _told():
            await self.corrector.cancel(self.exporter.api, await self.tenant(slug), ExportId(export_id), reason)

    async def credit(self, slug: str, micro_usd: int, subject: str, reason: str) -> None:
        """As `Corrector.give_credit`."""
        await self.corrector.give_credit(await self.tenant(slug), subject, micro_usd * PICO_PER_MICRO, reason)

    async def release(self, slug: str, reason: str) -> None:
        """As `Corrector.release_disputes`."""
        await self.corrector.release_disputes(await self.tenant(slug), reason)

    async def put_on(self, slug: str, plan: str) -> None:
        """Puts an organization on a plan; its account is made if it has none."""
        charger, tenant = self.exporter.charger, await self.tenant(slug)
        if await charger.open_account(tenant, plan, datetime.now(UTC)):
            return
        async with self.exporter.database.read(tenant) as session:
            now = await accounts.get_time(session, tenant)
        await charger.change_plan(tenant, plan, now)

    async def tenant(self, slug: str) -> Tenant:
        """An organization by its slug; raises NotFoundError."""
        async with self.exporter.system.read() as session:
            return await require_by_slug(session, slug)


@asynccontextmanager
async def opened(data_dir: Path | None, *, logs: bool = False) -> AsyncIterator[Operations]:
    """Settings, database and Stripe, of one mode.

    Args:
        logs: whether this process logs what it does, as those that run until they are stopped do.

    Raises:
        InvalidInputError: billing is off, or keys, modes and plans do not fit together.
    """
    settings = BackendSettings.load(data_dir=data_dir)
    if logs:
        begin_to_log(settings)
    async with open_store(settings) as store, open_api(settings) as api:
        exporter = Exporter.of(store.database, store.system, api, settings)
        await exporter.require_one_mode()
        yield Operations(exporter, Corrector(store.database, OPERATOR))


def show_plans(data_dir: Path | None) -> dict[str, Any]:
    """The plans with their prices; raises InvalidInputError, `bad_plans`."""
    plans = Plans.load(BackendSettings.load(data_dir=data_dir).billing_plans)
    told = {
        name: {
            "title": plan.title,
            "prices": [
                {"meter": meter.name, "unit_usd": f"{meter.unit_pico_usd / 1e12:.12f}"} for meter in plan.meters()
            ],
        }
        for name, plan in plans.plans.items()
    }
    return {"default": plans.default, "plans": told}


def _plain(row: Any) -> dict[str, Any]:
    """The fields of a frozen value, for JSON."""
    return {each.name: _value(getattr(row, each.name)) for each in fields(row)}


def _value(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    return value if value is None or isinstance(value, bool | int | str) else str(value)


@contextmanager
def _told() -> Iterator[None]:
    """Stripe's refusals as errors for a person."""
    try:
        yield
    except StripeFault as fault:
        raise UnavailableError(
            f"Stripe did not do it: {fault} ({fault.code}). Nothing is lost; run the same command again.",
            code="stripe_unavailable",
        ) from fault
