"""Every query of every repository has an index to go by, asked of Postgres itself."""

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


@pytest.mark.parametrize("function", FUNCTIONS)
async def test_a_query_reads_no_table_from_end_to_end(function: Found, urls: TestUrls, world: World):
    plans: list[str] = []

    def explain(connection: Connection, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if statement.lstrip().startswith(PLANNED) and "set_config" not in statement:
            plans.extend(connection.exec_driver_sql(f"EXPLAIN {statement}", values).scalars())

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
    whole = [line.strip() for line in plans if "Seq Scan" in line]
    assert plans
    assert whole == []
