"""SQL about whole databases: what one holds as of a moment, and putting one in another's place."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import psycopg
from psycopg import sql
from sqlalchemy.engine import URL, make_url

from aicd_core.backups.values import Facts
from aicd_core.db.urls import libpq_url
from aicd_core.errors import ConflictError, InvalidInputError, UnavailableError
from aicd_core.migrations.roles import CREATE_ROLES, INSTALLATION

_ROLE = b"SELECT current_user, rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
_MARK = b"SELECT obj_description('public'::regnamespace, 'pg_namespace')"
_REVISION = b"SELECT version_num FROM public.alembic_version"
_TABLES = (
    b"SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version' ORDER BY 1"
)
_OTHERS = b"SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
_FREE = b"""
    UPDATE jobs SET lease_owner = NULL, lease_until = NULL, woken_at = NULL
    WHERE lease_owner IS NOT NULL OR woken_at IS NOT NULL
"""
_CONTENT = ("jobs", "users", "api_keys", "deliveries", "usage_entries", "audit_log")
"""A database without a row in any of them was never worked with."""


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """A connection of its own to the database of a URL; each statement is a transaction unless one is begun.

    Raises:
        UnavailableError: Postgres cannot be reached, or went away.
    """
    plain = libpq_url(url)
    try:
        async with await psycopg.AsyncConnection.connect(plain, autocommit=True) as connection:
            yield connection
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise UnavailableError(
            f"Postgres did not answer: {str(error).strip()}. Start it, or mend the URL, then run the same command "
            "again; nothing is lost.",
            code="database_unavailable",
        ) from error


async def require_all_seeing(connection: psycopg.AsyncConnection) -> None:
    """Makes sure that row-level security hides nothing from this role.

    Raises:
        InvalidInputError: `backup_role`.
    """
    name, sees_all = (await (await connection.execute(_ROLE)).fetchall())[0]
    if not sees_all:
        raise InvalidInputError(
            f"The database role {name} does not see every organization's rows, so its backup would be empty. Set "
            "AICD_BACKUP_DATABASE_URL to the same database as a role that reads everything: CREATE ROLE aicd_backup "
            "LOGIN BYPASSRLS PASSWORD '…' IN ROLE pg_read_all_data.",
            code="backup_role",
        )


@asynccontextmanager
async def snapshot(connection: psycopg.AsyncConnection) -> AsyncIterator[str]:
    """A transaction that sees one moment; others see the same by the name that it yields, as long as it lasts."""
    await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
    await connection.set_read_only(True)
    async with connection.transaction():
        yield (await (await connection.execute(b"SELECT pg_export_snapshot()")).fetchall())[0][0]


async def read_facts(connection: psycopg.AsyncConnection) -> Facts:
    """Whose database it is, and how many rows its tables have."""
    ((now,),) = await (await connection.execute(b"SELECT now()")).fetchall()
    tables = [name for (name,) in await (await connection.execute(_TABLES)).fetchall()]
    counts = {name: await _count(connection, name) for name in tables}
    version = f"{connection.info.server_version // 10000}.{connection.info.server_version % 10000}"
    return Facts(await read_installation(connection), await _revision(connection), now, version, counts)


async def read_installation(connection: psycopg.AsyncConnection) -> UUID | None:
    """Whose database it is; None for one that `aicd migrate` has not marked."""
    ((mark,),) = await (await connection.execute(_MARK)).fetchall()
    return UUID(mark.removeprefix(INSTALLATION)) if mark and mark.startswith(INSTALLATION) else None


async def has_content(connection: psycopg.AsyncConnection) -> bool:
    """Whether anything was ever done with the database."""
    tables = {name for (name,) in await (await connection.execute(_TABLES)).fetchall()}
    if not tables <= {"organizations"} and "jobs" not in tables:
        return True  # it is somebody else's
    return any([await _count(connection, name) for name in _CONTENT if name in tables])


async def make_roles(connection: psycopg.AsyncConnection) -> None:
    """Makes the roles that policies name, where they are not there."""
    await connection.execute(CREATE_ROLES.encode())


async def free_jobs(connection: psycopg.AsyncConnection) -> int:
    """Takes every job away from workers that are no more, and has a worker sent for each; how many there were."""
    return (await connection.execute(_FREE)).rowcount


async def create_database(connection: psycopg.AsyncConnection, name: str) -> None:
    """Makes an empty database."""
    await connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))


async def drop_database(connection: psycopg.AsyncConnection, name: str) -> None:
    """Removes a database, whoever is connected to it; nothing if there is none."""
    await connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


async def has_database(connection: psycopg.AsyncConnection, name: str) -> bool:
    """Whether the server has a database of that name."""
    found = await connection.execute(b"SELECT 1 FROM pg_database WHERE datname = %s", (name,))
    return await found.fetchone() is not None


async def require_unused(connection: psycopg.AsyncConnection, name: str) -> None:
    """Makes sure that nobody else is connected to a database.

    Raises:
        ConflictError: `database_in_use`.
    """
    ((others,),) = await (await connection.execute(_OTHERS, (name,))).fetchall()
    if others:
        raise ConflictError(
            f"{others} connection(s) to the database {name} are open. Stop every aicd process that works with it (and "
            "poolers), then say the same again.",
            code="database_in_use",
        )


async def swap_databases(connection: psycopg.AsyncConnection, name: str, new: str, aside: str) -> None:
    """Gives a database's name to a new one, and the old one another, at once; nobody may be connected to either."""
    rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
    async with connection.transaction():
        if await has_database(connection, name):
            await connection.execute(rename.format(sql.Identifier(name), sql.Identifier(aside)))
        await connection.execute(rename.format(sql.Identifier(new), sql.Identifier(name)))


async def read_brief(connection: psycopg.AsyncConnection) -> tuple[UUID, str]:
    """Whose database it is, and at which schema.

    Raises:
        UnavailableError: `no_installation`.
    """
    installation = await read_installation(connection)
    if installation is None:
        raise no_installation()
    return installation, await _revision(connection)


def no_installation() -> UnavailableError:
    """For a database that was never marked."""
    return UnavailableError(
        "The database does not say which installation it is of. Run `aicd migrate`, which marks it.",
        code="no_installation",
    )


def beside(url: str, database: str) -> str:
    """The URL of another database of the same server."""
    return _shown(make_url(url).set(database=database))


def name_of(url: str) -> str:
    """The database's name in a URL; by libpq's custom it is the user's where it is left out."""
    parsed = make_url(url)
    return parsed.database or parsed.username or "postgres"


def _shown(url: URL) -> str:
    return url.render_as_string(hide_password=False)


async def _revision(connection: psycopg.AsyncConnection) -> str:
    try:
        ((revision,),) = await (await connection.execute(_REVISION)).fetchall()
    except psycopg.errors.UndefinedTable as error:
        raise InvalidInputError(
            "The database is no aicd's: it has no schema yet. Mend the URL, or run `aicd migrate`.", code="no_schema"
        ) from error
    return str(revision)


async def _count(connection: psycopg.AsyncConnection, table: str) -> int:
    query = sql.SQL("SELECT count(*) FROM public.{}").format(sql.Identifier(table))
    ((rows,),) = await (await connection.execute(query)).fetchall()
    return int(rows)
