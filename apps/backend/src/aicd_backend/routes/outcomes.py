"""What came of the organization's jobs: how many were merged, and how long a pull request took."""

from dataclasses import asdict
from datetime import UTC, date, timedelta
from typing import Annotated, Literal, Self
from uuid import UUID

from fastapi import Query
from pydantic import Field

from aicd_backend.access import needs, secured_router
from aicd_backend.bodies import Answer
from aicd_backend.callers import Here
from aicd_backend.routes.usage import days_asked_for
from aicd_core.ids import RepositoryId
from aicd_core.jobs.lists import repository as jobs
from aicd_core.jobs.lists.values import Outcomes
from aicd_core.tenancy.permissions import Permission

router = secured_router("usage")


class OutcomesAnswer(Answer):
    """What became of jobs, by now, whenever it did."""

    made: int
    opened: int = Field(description="Jobs that opened a pull request.")
    merged: int
    closed: int = Field(description="Jobs whose pull request was closed without merging.")
    failed: int
    merge_rate: float | None = Field(description="The merged part of those merged or closed; null when there is none.")
    seconds_to_pull: float | None = Field(
        description="Median time from the making of a job to its pull request; null when none was opened."
    )

    @classmethod
    def of(cls, found: Outcomes, **more: object) -> Self:
        return cls.model_validate({**asdict(found), "merge_rate": found.merge_rate, **more})


class OutcomesRow(OutcomesAnswer):
    """The jobs made on one day, in one week or for one repository; what was not asked for is null."""

    first: date | None = Field(
        default=None, description="The day, or the first day of the week, of UTC; weeks end with the report's last day."
    )
    repository_id: UUID | None = None


class OutcomesReport(Answer):
    """Jobs that were made on some days of UTC, both included."""

    first: date
    last: date
    total: OutcomesAnswer
    rows: tuple[OutcomesRow, ...]


@router.get(
    "/organizations/{org}/outcomes", summary="What came of jobs", **needs(Permission.USAGE_READ, refuses=(400,))
)
async def get_outcomes(
    here: Here,
    by: Annotated[Literal["day", "week", "repository"], Query()] = "week",
    repository_id: Annotated[UUID | None, Query(description="Of this repository only.")] = None,
    first: Annotated[date | None, Query(description="A day of UTC; 30 days before the last, if left out.")] = None,
    last: Annotated[date | None, Query(description="Today, if left out.")] = None,
) -> OutcomesReport:
    """Days and weeks in which no job was made are left out; repositories come those with the most jobs first."""
    since, until, span = days_asked_for(here, first, last)
    of = RepositoryId(repository_id) if repository_id else None
    async with here.read() as session:
        total = await jobs.count_outcomes(session, here.tenant, *span, of)
        if by == "repository":
            found = await jobs.outcomes_by_repository(session, here.tenant, *span)
            rows = [OutcomesRow.of(outcomes, repository_id=which) for which, outcomes in found if of in (None, which)]
        else:
            days = timedelta(days=1 if by == "day" else 7)
            course = await jobs.outcomes_by_span(session, here.tenant, *span, days, of)
            rows = [OutcomesRow.of(outcomes, first=begun.astimezone(UTC).date()) for begun, outcomes in course]
    return OutcomesReport(first=since, last=until, total=OutcomesAnswer.of(total), rows=tuple(rows))
