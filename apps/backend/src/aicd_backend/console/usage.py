"""What jobs cost and what came of them."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

from aicd_backend.callers import Here
from aicd_backend.console.charts import by_day
from aicd_backend.console.jobs import repositories_of
from aicd_backend.console.pages import page
from aicd_backend.console.routing import console_router, sees
from aicd_backend.console.words import money
from aicd_backend.routes.usage import get_usage
from aicd_core.jobs.lists.repository import count_outcomes
from aicd_core.tenancy.permissions import Permission

router = console_router()


@router.get("/console/{org}/usage", **sees(Permission.USAGE_READ))
async def show_usage(request: Request, here: Here, days: Literal["7", "30", "90", "365"] = "30") -> Response:
    last = here.now.astimezone(UTC).date()
    first = last - timedelta(days=int(days) - 1)
    daily = await get_usage(here, "day", first, last)
    amounts = {row.day: row.usage.cost_micro_usd for row in daily.rows if row.day is not None}
    titles = {day: f"{day}: {money(amount)}" for day, amount in amounts.items()}
    async with here.read() as session:
        outcomes = await count_outcomes(session, here.tenant, _midnight(first), _midnight(last + timedelta(days=1)))
    return page(
        request,
        "usage.html",
        days=days,
        chart=by_day(amounts, first, last, titles),
        daily=daily,
        by_repository=(await get_usage(here, "repository", first, last)).rows,
        by_model=(await get_usage(here, "model", first, last)).rows,
        names={place.id: place.source for place in await repositories_of(here)},
        outcomes=outcomes,
    )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
