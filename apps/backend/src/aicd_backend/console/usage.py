"""What jobs cost and what came of them."""

from collections.abc import Sequence
from datetime import UTC, date, timedelta
from typing import Any, Literal
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from aicd_backend.callers import Here
from aicd_backend.console.charts import PERCENT, Scale, columns, shares
from aicd_backend.console.jobs import repositories_of
from aicd_backend.console.pages import page
from aicd_backend.console.routing import console_router, sees
from aicd_backend.console.words import repository as short
from aicd_backend.routes.outcomes import OutcomesReport, OutcomesRow, get_outcomes
from aicd_backend.routes.usage import UsageReport, get_usage
from aicd_core.tenancy.permissions import Permission

router = console_router()
DAILY_MOST = 30
"""Days up to which outcomes are shown by day; beyond, a bar stands for a week."""


@router.get("/console/{org}/usage", **sees(Permission.USAGE_READ))
async def show_usage(
    request: Request, here: Here, days: Literal["7", "30", "90", "365"] = "30", repository: UUID | None = None
) -> Response:
    last = here.now.astimezone(UTC).date()
    first = last - timedelta(days=int(days) - 1)
    by: Literal["day", "week"] = "day" if int(days) <= DAILY_MOST else "week"
    names = {place.id: short(place.source) for place in await repositories_of(here)}
    daily = await get_usage(here, "day", first, last)
    costs = {kind: await get_usage(here, kind, first, last) for kind in ("repository", "model")}
    course = await get_outcomes(here, by, repository, first, last)
    places = await get_outcomes(here, "repository", None, first, last)
    link = f"{request.url.path}?days={days}&repository="
    return page(
        request,
        "usage.html",
        days=days,
        daily=daily,
        by=by,
        one=names.get(repository, str(repository)) if repository else None,
        course=course,
        places=[(_named(names, row.repository_id), row) for row in places.rows],
        made=places.total.made,
        cost_by_day=_cost_by_day(daily),
        costs={kind: (report, _cost_bars(report, names)) for kind, report in costs.items()},
        outcomes=_outcome_charts(course, 1 if by == "day" else 7, places.rows, names, link),
    )


def _named(names: dict[UUID, str], found: UUID | None) -> str:
    return names.get(found, str(found)) if found else "other"


def _cost_by_day(daily: UsageReport) -> Any:
    amounts = {row.day: row.usage.cost_micro_usd for row in daily.rows if row.day is not None}
    return columns(amounts, daily.first, daily.last, 1, Scale.of_money([*amounts.values()]))


def _cost_bars(report: UsageReport, names: dict[UUID, str]) -> Any:
    rows = [
        (row.model or "other" if row.repository_id is None else _named(names, row.repository_id), None, row)
        for row in report.rows
    ]
    amounts = [(name, link, row.usage.cost_micro_usd) for name, link, row in rows]
    return shares(amounts, Scale.of_money([amount for _, _, amount in amounts]))


def _outcome_charts(
    course: OutcomesReport, days: int, places: Sequence[OutcomesRow], names: dict[UUID, str], link: str
) -> list[dict[str, Any]]:
    """Of the merge rate, and of the time to a pull request: the course, and a bar for each repository."""
    charts = []
    for name, field in (("Merge rate", "merge_rate"), ("Time to pull request", "seconds_to_pull")):
        amounts: dict[date, float] = {
            row.first: amount for row in course.rows if row.first and (amount := getattr(row, field)) is not None
        }
        named = [
            (_named(names, row.repository_id), f"{link}{row.repository_id}", getattr(row, field)) for row in places
        ]
        known = [amount for _, _, amount in named if amount is not None]
        over_time = PERCENT if field == "merge_rate" else Scale.of_seconds([*amounts.values()])
        over_places = PERCENT if field == "merge_rate" else Scale.of_seconds(known)
        charts.append(
            {
                "name": name,
                "key": field.replace("_", "-"),
                "chart": columns(amounts, course.first, course.last, days, over_time) if amounts else None,
                "bars": shares(named, over_places) if known else (),
            }
        )
    return charts
