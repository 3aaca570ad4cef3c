"""Merge rate and time to a pull request: over time, by repository, and as the console draws them."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg

from aicd_backend.testing.ledgers import LedgerWriter
from aicd_backend.testing.world import World
from aicd_core.tenancy.permissions import Role
from aicd_core.testing.databases import TestUrls

NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)


def made(urls: TestUrls, world: World, state: str, days_ago: int, minutes: int | None) -> str:
    """A job of a repository of its own, whose pull request was opened so many minutes later; its repository."""
    writer, at = LedgerWriter(urls, world.us.tenant), NOON - timedelta(days=days_ago)
    job = writer.job(state)
    if minutes is not None:
        writer.event(job, 1, "published", "pr_open", at + timedelta(minutes=minutes))
    with psycopg.connect(urls.admin) as connection:
        asked = "UPDATE jobs SET created_at = %s WHERE id = %s RETURNING repository_id"
        row = connection.execute(asked, (at, UUID(str(job)))).fetchone()
    assert row is not None
    return str(row[0])


async def test_what_came_of_jobs_has_a_course(world: World, world_urls: TestUrls) -> None:
    first = made(world_urls, world, "merged", 1, 10)
    made(world_urls, world, "closed", 1, 30)
    made(world_urls, world, "failed", 3, None)
    made(world_urls, world, "merged", 10, 5)
    made(world_urls, world, "merged", 40, 5)
    headers, today = await world.as_role(Role.VIEWER), NOON.date()

    async def asked(**query: str) -> list[tuple[object, ...]]:
        answer = await world.client.get("/v1/organizations/acme/outcomes", headers=headers, params=query)
        assert answer.status_code == 200, answer.text
        return [
            (row["first"], row["made"], row["merge_rate"], row["seconds_to_pull"])
            for row in (*answer.json()["rows"], {"first": None, **answer.json()["total"]})
        ]

    def day(ago: int) -> str:
        return str(today - timedelta(days=ago))

    total = (None, 4, 2 / 3, 600.0)
    span = {"last": str(today)}
    assert await asked(by="day", **span) == [
        *((day(10), 1, 1.0, 300.0), (day(3), 1, None, None), (day(1), 2, 0.5, 1200.0), total),
    ]
    assert await asked(by="week", **span) == [(day(13), 1, 1.0, 300.0), (day(6), 3, 0.5, 1200.0), total]
    one = await asked(by="week", repository_id=first, **span)
    assert one == [(day(6), 1, 1.0, 600.0), (None, 1, 1.0, 600.0)]
    assert len(await asked(by="repository", **span)) == 5
    rivals = await world.as_role(Role.VIEWER, world.rival)
    theirs = await world.client.get("/v1/organizations/rival/outcomes", headers=rivals)
    assert (theirs.json()["rows"], theirs.json()["total"]["made"]) == ([], 0)
    shown = (await world.client.get(f"/console/acme/usage?days=90&repository={first}", headers=headers)).text
    assert f"<title>{day(6)} to {day(0)}: 100 %</title>" in shown
    assert f"<title>{day(6)} to {day(0)}: 10 min</title>" in shown
