"""What the organization's jobs used, by day, repository or model."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Query
from pydantic import Field

from aicd_backend.access import needs, secured_router
from aicd_backend.answers import UsageAnswer
from aicd_backend.bodies import Answer
from aicd_backend.callers import Here, TenantCaller
from aicd_backend.problems import RefusedError
from aicd_core.tenancy.permissions import Permission
from aicd_core.usage import repository as ledger

router = secured_router("usage")
MOST_DAYS = 366


class UsageRow(Answer):
    """One day, repository or model; the two that were not asked for are null."""

    day: date | None = None
    repository_id: UUID | None = None
    model: str | None = Field(default=None, description="Null for what no call of a model explains.")
    entries: int
    usage: UsageAnswer


class UsageReport(Answer):
    """Usage of some days of UTC, both included."""

    first: date
    last: date
    total: UsageAnswer
    rows: tuple[UsageRow, ...]


@router.get(
    "/organizations/{org}/usage", summary="Tokens and their cost", **needs(Permission.USAGE_READ, refuses=(400,))
)
async def get_usage(
    here: Here,
    by: Annotated[Literal["day", "repository", "model"], Query()] = "day",
    first: Annotated[date | None, Query(description="A day of UTC; 30 days before the last, if left out.")] = None,
    last: Annotated[date | None, Query(description="Today, if left out.")] = None,
) -> UsageReport:
    """Days without usage are left out; repositories and models come the dearest first."""
    since, until, span = days_asked_for(here, first, last)
    async with here.read() as session:
        total = await ledger.total_between(session, here.tenant, *span)
        match by:
            case "day":
                days = await ledger.totals_by_day(session, here.tenant, *span)
                rows = [UsageRow(day=r.day, entries=r.entries, usage=UsageAnswer.of(r.usage)) for r in days]
            case "repository":
                found = await ledger.totals_by_repository(session, here.tenant, *span)
                rows = [
                    UsageRow(repository_id=r.repository_id, entries=r.entries, usage=UsageAnswer.of(r.usage))
                    for r in found
                ]
            case "model":
                models = await ledger.totals_by_model(session, here.tenant, *span)
                rows = [UsageRow(model=r.model, entries=r.entries, usage=UsageAnswer.of(r.usage)) for r in models]
    return UsageReport(first=since, last=until, total=UsageAnswer.of(total), rows=tuple(rows))


def days_asked_for(
    here: TenantCaller, first: date | None, last: date | None
) -> tuple[date, date, tuple[datetime, datetime]]:
    """The first and the last day, and the time from the beginning of the one to the end of the other, in UTC.

    Raises:
        RefusedError: 400, `bad_span`.
    """
    until = last or here.now.date()
    since = first or until - timedelta(days=min(29, (until - date.min).days))
    if not 0 <= (until - since).days < MOST_DAYS or until == date.max:
        raise RefusedError(400, "bad_span", f"first is not after last, and the span has at most {MOST_DAYS} days.")
    return since, until, (_midnight(since), _midnight(until + timedelta(days=1)))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
