"""SQL about the schema itself."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession


async def read_revision(session: AsyncSession) -> str | None:
    """The schema revision of a database; None for an empty one."""
    table = await session.execute(text("SELECT to_regclass('public.alembic_version')"))
    if table.scalar_one() is None:
        return None
    return (await session.execute(text("SELECT version_num FROM public.alembic_version"))).scalar_one_or_none()


async def read_queue_mark(session: AsyncSession) -> str | None:
    """What the last migration left as the mark of the queue that it laid; None where there is no queue."""
    mark = "SELECT obj_description(to_regprocedure('public.aicd_wake(uuid, uuid, text, bigint)'), 'pg_proc')"
    found: str | None = (await session.execute(text(mark))).scalar_one()
    return found
