"""SQL about the schema itself."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession


async def read_revision(session: AsyncSession) -> str | None:
    """The schema revision of a database; None for an empty one."""
    table = await session.execute(text("SELECT to_regclass('public.alembic_version')"))
    if table.scalar_one() is None:
        return None
    return (await session.execute(text("SELECT version_num FROM public.alembic_version"))).scalar_one_or_none()
