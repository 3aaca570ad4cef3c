"""Whether each organization may have work done: looked at by the clock, and when something changed."""

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from aicd_backend.billing.accounts import repository as accounts
from aicd_backend.billing.caps import repository as warned_caps
from aicd_backend.billing.caps.values import Caps, CapWarning, due_warnings
from aicd_backend.billing.charging import Charger
from aicd_backend.billing.plans import PICO_PER_MICRO
from aicd_backend.billing.spending import repository as spending
from aicd_backend.billing.standings import ENDS, STOPS, Position, counted_from, month_begin, next_month, standing_of
from aicd_backend.billing.values import BILLING, Account
from aicd_core.db.database import Database, SystemDatabase
from aicd_core.db.sessions import ReadSession, WriteSession
from aicd_core.errors import AicdError
from aicd_core.ids import OrgId
from aicd_core.orchestrator import Control, Parts
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.audit.service import record
from aicd_core.tenancy.audit.values import JSON
from aicd_core.tenancy.organizations.repository import list_tenants
from aicd_core.tenancy.standings.repository import find_standing, put_standing
from aicd_core.tenancy.standings.values import Standing, Why
from aicd_core.usage import repository as ledger

log = logging.getLogger(__name__)
PAGE = 500
UNLIMITED = 2**63


async def position_of(
    session: ReadSession, tenant: Tenant, charger: Charger, account: Account | None, now: datetime
) -> Position:
    """How an organization's account stands in its month; raises InvalidInputError: `no_such_plan`."""
    plan = charger.plans.of(account.plan if account else charger.plans.default)
    since = counted_from(account, plan, now)
    if account is None:
        return Position(None, plan, 0, 0, 0, since)
    spent = await spending.sum_spent(session, tenant, month_begin(now), next_month(now))
    charged = await spending.count_charged(session, tenant, since)
    in_month = await spending.count_charged(session, tenant, month_begin(now))
    tokens = await spending.sum_worth(session, tenant, month_begin(now), next_month(now))
    cost = (await ledger.total_of_month(session, tenant)).cost_micro_usd
    return Position(account, plan, spent, charged, in_month, since, tokens, cost)


@dataclass
class Reviewer:
    """Looks at organizations, says how they stand, and has their jobs paused and gone on with.

    Args:
        parts: what steers jobs.
    """

    database: Database
    system: SystemDatabase
    charger: Charger
    parts: Parts
    _done: dict[OrgId, bool] = field(default_factory=dict)

    async def review_all(self) -> None:
        """Every organization, with an account or without; one's trouble is no other's."""
        async for tenant in self._everybody():
            try:
                await self.review(tenant)
            except AicdError:
                log.exception("billing: how %s stands is not known; the next look tells", tenant.org_id)

    async def review(self, tenant: Tenant) -> Standing:
        """One organization: what it did is charged, its caps are looked at, and its jobs stop or go on.

        Raises:
            InvalidInputError: `no_such_plan`.
            AicdError: the database.
        """
        now = datetime.now(UTC)
        await self.charger.charge(tenant, now)
        async with self.database.write(tenant) as session:
            account = await accounts.hold_account(session, tenant)
            position = await position_of(session, tenant, self.charger, account, now)
            standing = standing_of(position, now)
            if account is not None:
                await self._warn(session, tenant, account, position.spent, now)
            before = await find_standing(session, tenant)
            if await put_standing(session, tenant, standing):
                await self._tell(session, tenant, before, standing)
        await self._carry_out(tenant, standing.stopped, has_more=_limit_of(standing) > _limit_of(before))
        return standing

    async def _warn(self, session: WriteSession, tenant: Tenant, account: Account, spent: int, now: datetime) -> None:
        month, caps = month_begin(now).date(), Caps(account.soft_cap, account.hard_cap)
        warned = await warned_caps.get_warned(session, tenant, month)
        due, after = due_warnings(spent // PICO_PER_MICRO, caps, warned)
        if not due:
            return
        await warned_caps.note_warned(session, tenant, month, after)
        for one in due:
            await self._give(session, tenant, one, caps, spent // PICO_PER_MICRO)

    async def _give(self, session: WriteSession, tenant: Tenant, one: CapWarning, caps: Caps, spent: int) -> None:
        cap = caps.soft if one.cap == "soft" else caps.hard
        log.warning("billing: %s has spent %d percent of its %s cap", tenant.org_id, one.percent, one.cap)
        detail: dict[str, JSON] = {"percent": one.percent, "cap_micro_usd": cap, "spent_micro_usd": spent}
        await record(session, tenant, BILLING, "billing.cap_warned", "cap", one.cap, detail)

    async def _tell(self, session: WriteSession, tenant: Tenant, before: Standing | None, standing: Standing) -> None:
        was, code = (each.stopped.code if each and each.stopped else None for each in (before, standing))
        if was == code:
            return  # only the words, or how many pull requests there may be
        action = "billing.stopped" if code else "billing.released"
        await record(session, tenant, BILLING, action, "organization", str(tenant.org_id), {"code": code})

    async def _carry_out(self, tenant: Tenant, stopped: Why | None, *, has_more: bool) -> None:
        """Jobs of an organization that stands still end or are paused, whenever there are any; of others gone on with
        once."""
        control = Control(self.parts, tenant, BILLING.id)
        if stopped is not None:
            jobs = await control.stop_all(stopped, ends=stopped.code in ENDS)
            if jobs:
                log.warning("billing: %d job(s) of %s are stopped: %s", len(jobs), tenant.org_id, stopped.code)
        elif has_more or self._done.get(tenant.org_id, True):
            await control.resume_those_at(STOPS)
        self._done[tenant.org_id] = stopped is not None

    async def _everybody(self) -> AsyncIterator[Tenant]:
        after: OrgId | None = None
        while True:
            async with self.system.read() as session:
                some = await list_tenants(session, after, PAGE)
            for tenant in some:
                yield tenant
            if len(some) < PAGE:
                return
            after = some[-1].org_id


def _limit_of(standing: Standing | None) -> int:
    return UNLIMITED if standing is None or standing.cost_limit is None else standing.cost_limit
