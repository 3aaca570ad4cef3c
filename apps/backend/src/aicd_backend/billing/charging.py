"""From jobs and ledger to charges, and from charges to meter events, each once: one organization at a time."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import groupby

from aicd_backend.billing.accounts import repository as accounts
from aicd_backend.billing.adjustments import repository as adjustments
from aicd_backend.billing.charges import repository as charges
from aicd_backend.billing.exports import repository as exports
from aicd_backend.billing.plans import PICO_PER_MICRO, Plans
from aicd_backend.billing.pricing import charges_for, month_of, token_subjects
from aicd_backend.billing.values import (
    BILLING,
    WELCOME,
    Account,
    NewExport,
    OpenedPullRequest,
    Terms,
    TokenUse,
    Waiting,
)
from aicd_core.db.database import Database
from aicd_core.db.sessions import WriteSession
from aicd_core.errors import ConflictError, NotFoundError
from aicd_core.tenancy import Tenant
from aicd_core.usage.billing.models import BillingMode, ChargeKind

OVERLAP = timedelta(hours=1)
"""What is read again, behind the time until which everything was charged: an entry is dated when its transaction
begins, and seen when that ends."""
CHARGED_AT_ONCE = 500
"""Entries of the ledger of one transaction."""
BUNDLED_AT_ONCE = 5_000
"""Charges of one transaction."""


@dataclass(frozen=True)
class Charger:
    """Makes the charges of organizations, and bundles them into meter events.

    Args:
        bundle: charges of tokens in one meter event, at most. A pull request has one of its own.
    """

    database: Database
    plans: Plans
    mode: BillingMode
    bundle: int = 1_000

    async def open_account(self, tenant: Tenant, plan: str, now: datetime) -> bool:
        """Gives an organization an account on a plan, with its trial and its credit; False when it has one.

        Raises:
            InvalidInputError: `no_such_plan`.
        """
        terms = self.plans.of(plan)
        trial_end = now + timedelta(days=terms.trial_days) if terms.trial_days else None
        credit = terms.credit_micro_usd * PICO_PER_MICRO
        async with self.database.write(tenant) as session:
            made = await accounts.insert_account(session, tenant, plan, self.mode, credit, trial_end)
            if made and credit:
                reason = f"It comes with the plan {plan}."
                await adjustments.insert_credit(session, tenant, WELCOME, credit, reason, BILLING.id)
            return made

    async def change_plan(self, tenant: Tenant, plan: str, now: datetime) -> None:
        """Puts an organization on another plan: what happened before `now` is charged by the old one.

        Raises:
            InvalidInputError: `no_such_plan`.
            NotFoundError: it has no account.
            ConflictError: it did so much just now that not all has its charges yet; to be tried again.
        """
        self.plans.of(plan)
        await self.charge(tenant, now)
        async with self.database.write(tenant) as session:
            account = await accounts.hold_account(session, tenant)
            if account is None:
                raise NotFoundError("The organization has no billing account.", code="no_billing_account")
            await self.switch_plan(session, tenant, account, plan, now)

    async def switch_plan(
        self, session: WriteSession, tenant: Tenant, account: Account, plan: str, now: datetime
    ) -> None:
        """As `change_plan`, in the transaction of a caller that holds the account. `charge` comes before it.

        Raises:
            ConflictError: `still_charging`.
        """
        _, until = await self._charge_some(session, tenant, account, now, None)
        if until < now:
            raise ConflictError("The organization is too busy just now. Try again.", code="still_charging")
        await accounts.set_plan(session, tenant, plan, now)

    async def charge(self, tenant: Tenant, now: datetime, since: datetime | None = None) -> int:
        """Makes the charges of everything before `now` that has none; how many things that were.

        Args:
            since: looks for them from then on, instead of a little before the last look.

        Raises:
            InvalidInputError: `no_such_plan`: the account's plan is not in the plans file.
        """
        done = 0
        while True:
            async with self.database.write(tenant) as session:
                account = await accounts.hold_account(session, tenant)
                if account is None:
                    return done
                some, since = await self._charge_some(session, tenant, account, now, since)
            done += some
            if since >= now:
                return done

    async def bundle_charges(self, tenant: Tenant) -> int:
        """Makes meter events of charges that are in none; how many events. None while there is no customer."""
        made = 0
        while True:
            async with self.database.write(tenant) as session:
                account = await accounts.hold_account(session, tenant)
                if account is None or account.customer is None or account.mode is not self.mode:
                    return made
                waiting = await charges.list_waiting(session, tenant, BUNDLED_AT_ONCE)
                for new, charge_ids in bundles(account.customer, self.mode, waiting, self.bundle):
                    export_id = await exports.insert_export(session, tenant, new)
                    if export_id is None:
                        raise ConflictError(
                            f"There is a meter event {new.identifier} already, of charges that are in none. The "
                            "database was changed by hand; nothing was sent.",
                            code="export_exists",
                        )
                    await charges.put_into(session, tenant, charge_ids, export_id)
                    made += 1
            if len(waiting) < BUNDLED_AT_ONCE:
                return made

    async def _charge_some(
        self, session: WriteSession, tenant: Tenant, account: Account, now: datetime, since: datetime | None
    ) -> tuple[int, datetime]:
        """Charges some things in order; how many, and until when everything has its charge now."""
        begin = since or ((account.charged_until or account.billed_from) - OVERLAP)
        begin, plan = max(begin, account.billed_from), self.plans.of(account.plan)
        uses, end = await _uses(session, tenant, begin, now) if plan.tokens else ([], now)
        opened = await charges.list_opened(session, tenant, begin, end) if plan.pull_requests is not None else []
        things: list[OpenedPullRequest | TokenUse] = [*await _uncharged(session, tenant, opened)]
        things += await _unbooked(session, tenant, uses)
        things.sort(key=lambda thing: thing.at)
        terms = await self._terms(session, tenant, account, things)
        new, left = charges_for(self.plans, terms, things)
        await charges.insert_charges(session, tenant, new)
        reached = max(end, account.charged_until or end)
        await accounts.note_charged(session, tenant, left.credit_pico_usd, reached)
        return len(things), end

    async def _terms(
        self, session: WriteSession, tenant: Tenant, account: Account, things: Sequence[OpenedPullRequest | TokenUse]
    ) -> Terms:
        opened: dict[date, int] = {}
        if any(isinstance(thing, OpenedPullRequest) for thing in things):
            month = datetime.combine(month_of(things[0].at), datetime.min.time(), UTC)
            opened = await charges.count_opened_by_month(session, tenant, month)
        return Terms(account.plan, account.trial_end, account.credit_pico_usd, opened)


async def _uses(
    session: WriteSession, tenant: Tenant, begin: datetime, now: datetime
) -> tuple[list[TokenUse], datetime]:
    """Some entries of the ledger from `begin` on, and a moment before which these are all; `now` if there are no more.

    Cut where the moment changes, so that none of the same moment is left behind.
    """
    limit = CHARGED_AT_ONCE
    while True:
        found = await charges.list_token_uses(session, tenant, begin, now, limit)
        if len(found) < limit:
            return found, now
        end = found[-1].at
        if end > begin:
            return [use for use in found if use.at < end], end
        limit *= 2


async def _uncharged(
    session: WriteSession, tenant: Tenant, opened: Sequence[OpenedPullRequest]
) -> list[OpenedPullRequest]:
    subjects = [str(one.job_id) for one in opened]
    known = await charges.find_charged(session, tenant, ChargeKind.PULL_REQUEST, subjects) if subjects else ()
    return [one for one in opened if str(one.job_id) not in known]


async def _unbooked(session: WriteSession, tenant: Tenant, uses: Sequence[TokenUse]) -> list[TokenUse]:
    subjects = [subject for use in uses for subject in token_subjects(use)]
    known = await charges.find_charged(session, tenant, ChargeKind.TOKENS, subjects) if subjects else ()
    return [use for use in uses if not any(subject in known for subject in token_subjects(use))]


def bundles(
    customer: str, mode: BillingMode, waiting: Sequence[Waiting], most: int
) -> Iterator[tuple[NewExport, list[int]]]:
    """Meter events and the charges that each is made of: of one meter and one day of UTC, at most `most` of tokens.

    The identifier follows from the charges alone, so that the same ones are told to the provider under the same name
    even if the database was taken back to a time before they were bundled.
    """
    ordered = sorted(waiting, key=lambda one: (one.meter, one.occurred_at.astimezone(UTC).date(), one.charge_id))
    for (meter, _), same in groupby(ordered, key=lambda one: (one.meter, one.occurred_at.astimezone(UTC).date())):
        parts = list(same)
        size = 1 if parts[0].kind is ChargeKind.PULL_REQUEST else most
        for start in range(0, len(parts), size):
            some = parts[start : start + size]
            named = "\n".join([customer, meter, *sorted(f"{one.kind.value} {one.subject}" for one in some)])
            identifier = f"aicd-{hashlib.sha256(named.encode()).hexdigest()}"
            quantity, at = sum(one.billable for one in some), max(one.occurred_at for one in some)
            new = NewExport(mode, customer, meter, identifier, quantity, len(some), at)
            yield new, [one.charge_id for one in some]
