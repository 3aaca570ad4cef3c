"""Every query of every repository has an index to go by, asked of Postgres itself."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, event, text

from aicd_core.testing.databases import TestUrls
from isolation_functions import AS_OWNER, BEFORE, Found, arguments, discover, run, session_for
from isolation_world import World
from test_tenant_isolation import Walls, standing

PLANNED = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")
FUNCTIONS = [
    pytest.param(function, id=function.name)
    for function in discover()
    # What takes a whole tenant out or away reads whatever it has, as the tables' owner.
    if not function.name.startswith(AS_OWNER)
]


OPEN_ONLY = frozenset(
    {
        "ix_jobs_at_work",
        "ix_jobs_leased",
        "ix_jobs_look",
        "ix_deliveries_waiting",
        "ix_deliveries_subject",
        "uq_jobs_open_issue",
        "ix_billing_charges_waiting",
        "ix_billing_exports_dead",
        "ix_billing_exports_pending",
        "ix_stripe_events_waiting",
    }
)
"""Indexes of what is open just now: however many jobs have ended, they stay small, and may be read from end to end."""
FEW_ROWS = frozenset({"migration"})
"""BullMQ's own table of its schema's versions."""


def whole_reads(node: dict[str, Any]) -> Iterator[str]:
    """Every part of a plan that goes through a table, or through an index of it, from end to end."""
    by_index = any("Index Cond" in part for part in (node, *node.get("Plans", ())))
    open_only = any(part.get("Index Name") in OPEN_ONLY for part in (node, *node.get("Plans", ())))
    reads = "Relation Name" in node and node["Node Type"].endswith("Scan") and node["Relation Name"] not in FEW_ROWS
    if reads and not by_index and not open_only:
        yield f"{node['Node Type']} of {node['Relation Name']}"
    for part in node.get("Plans", ()):
        yield from whole_reads(part)


@pytest.mark.parametrize("function", FUNCTIONS)
async def test_a_query_reads_no_table_from_end_to_end(function: Found, urls: TestUrls, world: World):
    plans: list[Any] = []

    def explain(connection: Connection, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if statement.lstrip().startswith(PLANNED) and "set_config" not in statement:
            (plan,) = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", values).scalar_one()
            plans.append(plan["Plan"])

    async with (
        standing(Walls.BOTH, urls) as stand,
        session_for(function, world.us.tenant, stand.database, stand.system) as session,
    ):
        if function.name in BEFORE:
            await session.execute(text(BEFORE[function.name]), {"org": world.us.tenant.org_id})
        # The tables are tiny, and Postgres would read each from end to end: now it does so only for want of an index.
        await session.execute(text("SET LOCAL enable_seqscan = off"))
        for connections in (stand.database, stand.system):
            event.listen(connections.engine.sync_engine, "before_cursor_execute", explain)
        await run(function, session, world.us.tenant, arguments(function, world.us))
    assert plans
    assert [node for plan in plans for node in whole_reads(plan)] == []
