"""SQL about the schema itself."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from aicd_core.migrations.compatibility import oldest_code_of


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


async def read_oldest_code(session: AsyncSession) -> str | None:
    """The level of the oldest code that the schema still fits; None where no migration has said so."""
    comment = "SELECT obj_description(to_regclass('public.alembic_version'), 'pg_class')"
    return oldest_code_of((await session.execute(text(comment))).scalar_one())
