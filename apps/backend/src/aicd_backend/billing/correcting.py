"""Corrections of what was charged: a meter event is cancelled, or credit is given; each recorded, with who and why."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from aicd_backend.billing.accounts import repository as accounts
from aicd_backend.billing.adjustments import repository as adjustments
from aicd_backend.billing.exports import repository as exports
from aicd_backend.billing.stripe_api import StripeApi
from aicd_backend.billing.stripe_faults import Refused
from aicd_backend.billing.values import WELCOME
from aicd_core.db.database import Database
from aicd_core.errors import ConflictError, InvalidInputError, NotFoundError
from aicd_core.ids import ExportId
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.audit.service import record
from aicd_core.tenancy.audit.values import JSON, Actor
from aicd_core.text import require_text
from aicd_core.usage.billing.models import AdjustmentState, ExportState

REASON_MOST, SUBJECT_MOST = 500, 200
CREDIT_MOST = 8 * 10**18
"""In 10^-12 US dollars: the database has room for it, and for what a plan begins with."""
CANCELLABLE = timedelta(hours=24)
"""https://docs.stripe.com/api/billing/meter-event-adjustment: so long an event can be cancelled."""


@dataclass(frozen=True)
class Corrector:
    """Corrects charges of organizations, in the name of `actor`."""

    database: Database
    actor: Actor

    async def cancel(self, api: StripeApi, tenant: Tenant, export_id: ExportId, reason: str) -> None:
        """Takes a meter event back at Stripe. It is noted first, so that one that was broken off is known.

        Raises:
            InvalidInputError: no reason is given.
            NotFoundError: the organization has no such meter event.
            ConflictError: it was not sent, was cancelled before, or is too old for that: give credit instead.
            StripeFault: Stripe did not answer; doing it again is safe.
        """
        require_text(reason, "The reason", most=REASON_MOST, least=1)
        async with self.database.write(tenant) as session:
            found = await exports.find_export(session, tenant, export_id)
            if found is None:
                raise NotFoundError(f"The organization has no meter event {export_id}.", code="no_such_export")
            export, sent_at = found
            if await adjustments.find_cancel(session, tenant, export_id) is AdjustmentState.DONE:
                raise ConflictError(f"The meter event {export_id} was cancelled before.", code="cancelled_before")
            if sent_at is None or datetime.now(UTC) - sent_at > CANCELLABLE:
                raise ConflictError(
                    f"The meter event {export_id} was sent {sent_at or 'never'}; Stripe cancels what it received in "
                    "the last 24 hours. Give credit instead: `aicd billing credit`.",
                    code="not_cancellable",
                )
            await adjustments.insert_cancel(session, tenant, export_id, reason, self.actor.id)
        try:
            await api.cancel_event(export.meter, export.identifier)
        except Refused as fault:
            await self._ended(tenant, export_id, AdjustmentState.FAILED, reason, str(fault))
            raise ConflictError(
                f"Stripe does not cancel the meter event {export_id}: {fault}. Give credit instead: `aicd billing "
                "credit`.",
                code="not_cancellable",
            ) from fault
        await self._ended(tenant, export_id, AdjustmentState.DONE, reason, "")

    async def give_credit(self, tenant: Tenant, subject: str, pico_usd: int, reason: str) -> None:
        """Gives an organization credit, once for a subject: the name of what it makes good.

        Raises:
            InvalidInputError: no reason or no subject, or the one of the credit of plans; `too_much_credit`.
            NotFoundError: it has no account.
            ConflictError: for that subject it was given before.
        """
        require_text(reason, "The reason", most=REASON_MOST, least=1)
        require_text(subject, "What the credit is for", most=SUBJECT_MOST, least=1)
        if subject == WELCOME:
            told = f"{WELCOME!r} names the credit that a plan begins with. Choose another name."
            raise InvalidInputError(told, code="reserved_subject")
        async with self.database.write(tenant) as session:
            account = await accounts.hold_account(session, tenant)
            if account is None:
                raise NotFoundError("The organization has no billing account.", code="no_billing_account")
            if account.credit_pico_usd + pico_usd > CREDIT_MOST:
                limit = f"{CREDIT_MOST // 10**12:,} US dollars"
                raise InvalidInputError(f"The organization's credit would pass {limit}.", code="too_much_credit")
            if not await adjustments.insert_credit(session, tenant, subject, pico_usd, reason, self.actor.id):
                raise ConflictError(
                    f"Credit for {subject!r} was given before. Nothing was changed; another subject is another credit.",
                    code="credited_before",
                )
            await accounts.add_credit(session, tenant, pico_usd)
            detail: dict[str, JSON] = {"pico_usd": pico_usd, "subject": subject, "reason": reason}
            await record(session, tenant, self.actor, "billing.credited", "organization", str(tenant.org_id), detail)

    async def release_disputes(self, tenant: Tenant, reason: str) -> None:
        """Has work done again for an organization whose payment was disputed, whatever came of that.

        Raises:
            InvalidInputError: no reason is given.
            ConflictError: `not_disputed`: nothing of its is disputed.
        """
        require_text(reason, "The reason", most=REASON_MOST, least=1)
        async with self.database.write(tenant) as session:
            if not await accounts.release_disputes(session, tenant):
                raise ConflictError("No payment of the organization is disputed; nothing to do.", code="not_disputed")
            told: dict[str, JSON] = {"reason": reason}
            target = ("organization", str(tenant.org_id))
            await record(session, tenant, self.actor, "billing.disputes_released", *target, told)

    async def resend(self, tenant: Tenant, export_id: ExportId | None, now: datetime) -> int:
        """Has one dead meter event sent again, or all of them; how many.

        Raises:
            NotFoundError: the one is not dead, or is none of the organization's.
        """
        async with self.database.write(tenant) as session:
            found = await exports.list_exports(session, tenant, ExportState.DEAD)
            dead = [one.id for one in found if export_id in {None, one.id}]
            if export_id is not None and not dead:
                raise NotFoundError(f"The organization has no dead meter event {export_id}.", code="no_such_export")
            for one in dead:
                await record(session, tenant, self.actor, "billing.resent", "meter_event", str(one))
            return await exports.revive(session, tenant, dead, now)

    async def _ended(self, tenant: Tenant, export_id: ExportId, state: AdjustmentState, reason: str, said: str) -> None:
        async with self.database.write(tenant) as session:
            if await adjustments.end_cancel(session, tenant, export_id, state, {"said": said}, datetime.now(UTC)):
                action = "billing.cancelled" if state is AdjustmentState.DONE else "billing.cancel_refused"
                detail = {"reason": reason, "said": said}
                await record(session, tenant, self.actor, action, "meter_event", str(export_id), detail)
