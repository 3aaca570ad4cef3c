"""What the server asks the database on its own behalf."""

from sqlalchemy import text

from aicd_core.db.database import Database


async def check_database(database: Database) -> None:
    """Makes one round trip to the database, on the pool that requests use.

    Raises:
        UnavailableError: it does not answer.
    """
    async with database.accounts() as session:
        await session.execute(text("SELECT 1"))
