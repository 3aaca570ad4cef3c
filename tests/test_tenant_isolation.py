"""Tenant A reaches nothing of tenant B: every table, every repository function, each wall with and without the other.

Both lists are found by introspection; a new table or function without coverage fails here, by name. "Indistinguishable"
means: the same value or the same error, by the same statements, as for ids that no row has.
"""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from enum import Enum
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncSession

from aicd_core.db.database import Database, SystemDatabase
from aicd_core.db.sessions import AccountsSession, ReadSession, SystemReadSession, WriteSession
from aicd_core.portability.repository import become_owner
from aicd_core.tenancy import Tenant
from aicd_core.testing.databases import TestUrls
from aicd_core.testing.walls import without_application_wall
from isolation_functions import AS_OWNER, BEFORE, NO_ROWS, Found, arguments, discover, functions_of, run, session_for
from isolation_world import ALL_TABLES, TENANT_TABLES, Who, World, engine_of, snapshot


class Walls(Enum):
    """Which walls stand."""

    BOTH = "both walls"
    APPLICATION = "only the application's"
    DATABASE = "only the database's"


FUNCTIONS = discover()
CASES = [
    pytest.param(function, walls, id=f"{function.name}, {walls.value}")
    for function in FUNCTIONS
    for walls in Walls
    # The system role sees every tenant on purpose: there, the application's wall is the only one.
    if function.takes_tenant and not (issubclass(function.session, SystemReadSession) and walls is Walls.DATABASE)
]
READS_ALL = text("SELECT has_table_privilege('erased_ledgers', 'SELECT')")
UUID_TEXT = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TIME_TEXT = re.compile(r"datetime\.datetime\([^()]*(?:\([^()]*(?:\([^()]*\))?[^()]*\))?[^()]*\)")
CURSOR_TEXT = re.compile(r"next_cursor='[^']*'")


@dataclass(frozen=True)
class Outcome:
    """What one call did: its result or error as text, its statements, and its caller's rows afterwards."""

    said: str
    failed: bool
    statements: tuple[str, ...]
    rows: dict[str, list[str]]

    @property
    def shape(self) -> tuple[str, bool, tuple[str, ...], dict[str, int]]:
        """What must not tell somebody else's row from none."""
        return self.said, self.failed, self.statements, {table: len(rows) for table, rows in self.rows.items()}


class Undone(Exception):  # noqa: N818 - not an error: it ends a transaction without keeping it
    """Rolls an attempt back."""


@dataclass
class Stand:
    """The databases with some walls, and the statements sent to them."""

    database: Database
    system: SystemDatabase
    statements: list[str] = field(default_factory=list)
    rivals: dict[str, list[str]] = field(default_factory=dict)
    as_owner: bool = False
    deaf: bool = False

    def hear(self, connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if not self.deaf:
            self.statements.append(statement)

    @contextmanager
    def unheard(self) -> Iterator[None]:
        self.deaf = True
        yield
        self.deaf = False


@asynccontextmanager
async def standing(walls: Walls, urls: TestUrls) -> AsyncIterator[Stand]:
    """The databases with these walls."""
    database = Database.connect(urls.admin if walls is Walls.APPLICATION else urls.app)
    stand = Stand(database, SystemDatabase.connect(urls.system))
    with ExitStack() as stack:
        if walls is Walls.DATABASE:
            stack.enter_context(without_application_wall())
        for connections in (stand.database, stand.system):
            event.listen(connections.engine.sync_engine, "before_cursor_execute", stand.hear)
            stack.callback(event.remove, connections.engine.sync_engine, "before_cursor_execute", stand.hear)
        try:
            yield stand
        finally:
            await stand.database.close()
            await stand.system.close()


def rows_of(urls: TestUrls, who: Who) -> dict[str, list[str]]:
    engine = engine_of(urls.admin)
    with engine.connect() as connection:
        rows = snapshot(connection, who, ALL_TABLES)
    engine.dispose()
    return rows


def generalised(said: str, asked: Who, world: World) -> str:
    """The text with what was asked for named by its meaning, our own and fresh ids and times left out."""
    for value, meaning in asked.named().items():
        said = said.replace(value, meaning)
    assert world.rival.name not in said.lower(), f"something of the rival: {said}"
    for value in world.rival.ids.values():
        assert str(value) not in said, f"an id of the rival: {said}"
    said = said.replace(str(asked.number), "<number>")
    return CURSOR_TEXT.sub("<cursor>", TIME_TEXT.sub("<time>", UUID_TEXT.sub("<uuid>", said)))


async def attempt(
    function: Found, stand: Stand, world: World, asked: Who, given: dict[str, Any], *, keep: bool = False
) -> Outcome:
    """Calls the function as us with these arguments, those of `asked`; the changes are kept if so wanted."""
    stand.statements.clear()
    us, said, failed, rows, rivals = world.us, "", False, {}, None
    try:
        async with session_for(function, us.tenant, stand.database, stand.system) as session:
            with stand.unheard():
                if stand.as_owner:
                    await become_owner(session)
                if asked is us and function.name in BEFORE:
                    await session.execute(text(BEFORE[function.name]), {"org": us.tenant.org_id})
            said = repr(await run(function, session, us.tenant, given))
            with stand.unheard():
                rows, rivals = await rows_within(session, us), await rows_within(session, world.rival)
            if not keep:
                raise Undone  # noqa: TRY301 - the block that it leaves is the transaction
    except Undone:
        pass
    except Exception as error:  # noqa: BLE001 - any error at all is an outcome to compare
        origin = getattr(error, "orig", error)
        said, failed = f"{type(error).__name__} {getattr(error, 'code', '')}: {origin}", True
    assert not rivals or rivals == {table: stand.rivals[table] for table in rivals}, (
        f"{function.name}() changed the rival's rows"
    )
    return Outcome(generalised(said, asked, world), failed, tuple(stand.statements), rows)


async def rows_within(session: AsyncSession, who: Who) -> dict[str, list[str]]:
    """Somebody's rows as the open transaction would leave them; the system role may not read them all."""
    if isinstance(session, SystemReadSession):
        return {}
    await session.execute(text("SELECT set_config('aicd.org_id', :org, true)"), {"org": str(who.tenant.org_id)})
    tables = ALL_TABLES if (await session.execute(READS_ALL)).scalar_one() else TENANT_TABLES
    return await (await session.connection()).run_sync(snapshot, who, tables)


@pytest.mark.parametrize(("function", "walls"), CASES)
async def test_a_repository_function_gives_a_tenant_nothing_of_another(
    function: Found, walls: Walls, urls: TestUrls, world: World
):
    before, ours = rows_of(urls, world.rival), rows_of(urls, world.us)
    mine, theirs, none = (arguments(function, who) for who in (world.us, world.rival, world.nobody))
    by_owner = function.name.startswith(AS_OWNER) and function.session is WriteSession
    async with standing(walls, replace(urls, app=urls.admin) if by_owner else urls) as stand:
        stand.rivals = before
        stand.as_owner = by_owner and walls is not Walls.APPLICATION
        own = await attempt(function, stand, world, world.us, mine)
        nothing = await attempt(function, stand, world, world.nobody, none)
        for name in mine:
            # One argument of the rival's among our own: a reference across, for instance.
            if mine[name] != theirs[name] and len(mine) > 1:
                crossed = await attempt(function, stand, world, world.rival, {**mine, name: theirs[name]})
                into_void = await attempt(function, stand, world, world.nobody, {**mine, name: none[name]})
                assert crossed.shape == into_void.shape, f"{name} of the rival is told from one of nobody"
        reached = await attempt(function, stand, world, world.rival, theirs, keep=True)
    assert reached.shape == nothing.shape
    assert rows_of(urls, world.rival) == before
    # Unless the call does something for our own rows, what it did not do for the rival's proves nothing.
    assert not own.failed, f"{function.name}() failed for our own rows: {own.said}"
    did = own.said not in {"None", "[]", "()", "False"} or any(own.rows[table] != ours[table] for table in own.rows)
    assert did or (mine != none and own.said != nothing.said), f"{function.name}() reached nothing of ours: {own.said}"


def test_every_repository_function_takes_a_tenant_or_says_by_its_session_that_it_has_none():
    assert len(FUNCTIONS) > 10
    for function in FUNCTIONS:
        by_session = issubclass(function.session, SystemReadSession | AccountsSession)
        assert function.takes_tenant or by_session or function.name in NO_ROWS, (
            f"{function.name}() takes neither a tenant nor such a session"
        )
        if function.takes_tenant:
            assert issubclass(function.session, ReadSession | WriteSession | SystemReadSession), function.name


def test_every_repository_function_has_arguments(world: World):
    for function in FUNCTIONS:
        if function.takes_tenant:
            arguments(function, world.us)


def test_a_function_without_coverage_fails_by_name(world: World):
    async def peek(session: ReadSession, tenant: Tenant, mystery: bytes) -> None: ...

    with pytest.raises(AssertionError, match=r"spies.peek\(\) has no coverage .* 'mystery'"):
        arguments(Found("spies.peek", peek, ReadSession, takes_tenant=True), world.us)


def test_a_repository_in_which_the_search_sees_nothing_fails_by_name():
    def plain(session: ReadSession, tenant: Tenant) -> None: ...

    class Hidden: ...

    for thing in (plain, Hidden):
        module = ModuleType("spies.repository")
        thing.__module__ = module.__name__
        module.peek = thing
        with pytest.raises(AssertionError, match=r"spies.repository.peek has no coverage"):
            functions_of(module)
