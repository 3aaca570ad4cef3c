"""A transaction in one message: what comes back, what an error leaves, and what becomes of connections that break."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from aicd_core.db import message
from aicd_core.db.message import exchange
from aicd_core.testing.databases import TestUrls

ECHO = b"SELECT $1"
ADD = b"INSERT INTO notes VALUES ($1)"
COUNT = b"SELECT count(*) FROM notes"
Connection = psycopg.AsyncConnection[Any]


@pytest.fixture
async def connection(database_urls: TestUrls) -> AsyncIterator[Connection]:
    async with await psycopg.AsyncConnection.connect(database_urls.admin, autocommit=True) as found:
        await found.execute("CREATE TABLE notes (number int PRIMARY KEY)")
        yield found


async def sleeps(urls: TestUrls, connection: Connection) -> None:
    """Returns once the server is at what the connection asked for."""
    async with await psycopg.AsyncConnection.connect(urls.admin, autocommit=True) as other:
        query = "SELECT FROM pg_stat_activity WHERE pid = %s AND wait_event = 'PgSleep'"
        while not (await other.execute(query, (connection.info.backend_pid,))).rowcount:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("value", [None, True, 1, 2**40, 1.5, "text", "", b"\x00\xff", uuid4(), [1, 2]])
async def test_values_of_every_kind_come_back_the_first_time_and_again(connection: Connection, value: object):
    for _ in range(2):
        assert await exchange(connection, [(ECHO, (value,))]) == [(value,)]


async def test_one_statement_takes_values_of_several_kinds(connection: Connection):
    for value in (1, 2**40, None, 1):
        assert await exchange(connection, [(b"SELECT $1::bigint", (value,))]) == [(value,)]


async def test_the_rows_are_those_of_the_last_statement(connection: Connection):
    assert await exchange(connection, [(ADD, (1,)), (ADD, (2,)), (COUNT, ())]) == [(2,)]
    assert await exchange(connection, [(COUNT, ()), (ADD, (3,))]) == []


async def test_an_error_undoes_all_of_it_names_the_first_and_leaves_the_connection_usable(connection: Connection):
    for _ in range(2):  # also when what came after it was to be prepared
        with pytest.raises(psycopg.errors.UniqueViolation) as caught:
            await exchange(connection, [(ADD, (1,)), (ADD, (1,)), (b"SELECT 1/$1", (0,)), (COUNT, ())])
        assert caught.value.diag.constraint_name == "notes_pkey"
    with pytest.raises(psycopg.errors.SyntaxError):
        await exchange(connection, [(ADD, (1,)), (b"SELEC", ())])
    assert await exchange(connection, [(COUNT, ())]) == [(0,)]
    assert (await (await connection.execute("SELECT 1")).fetchone()) == (1,)


async def test_statements_are_prepared_once_and_not_without_end(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(message, "PREPARED_MOST", 3)
    for _ in range(3):
        for number in range(5):
            assert await exchange(connection, [(b"SELECT %d" % number, ())]) == [(number,)]
    kept = await exchange(connection, [(b"SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'aicd%'", ())])
    assert kept == [(3,)]


async def test_more_than_a_socket_holds_goes_both_ways(connection: Connection):
    text = "x" * 8_000_000
    assert await exchange(connection, [(b"SELECT $1::text", (text,)), (b"SELECT $1::text", (text,))]) == [(text,)]


async def test_a_call_that_is_cancelled_is_cancelled_at_the_server_and_leaves_the_connection_usable(
    connection: Connection, database_urls: TestUrls
):
    call = asyncio.create_task(exchange(connection, [(ADD, (1,)), (b"SELECT pg_sleep(60)", ())]))
    await sleeps(database_urls, connection)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await exchange(connection, [(COUNT, ())]) == [(0,)]


@pytest.mark.parametrize("during", [False, True], ids=["idle", "in a call"])
async def test_a_connection_that_the_server_ends_is_an_operational_error(
    connection: Connection, database_urls: TestUrls, during: bool
):
    call = asyncio.create_task(exchange(connection, [(b"SELECT pg_sleep($1)", (60,))])) if during else None
    if during:
        await sleeps(database_urls, connection)
    with psycopg.connect(database_urls.admin, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 10000)", (connection.info.backend_pid,))
    with pytest.raises(psycopg.OperationalError):
        await (call or exchange(connection, [(COUNT, ())]))
    with pytest.raises(psycopg.OperationalError):
        await exchange(connection, [(COUNT, ())])


async def test_a_connection_that_is_cut_is_an_operational_error(connection: Connection, database_urls: TestUrls):
    call = asyncio.create_task(exchange(connection, [(b"SELECT pg_sleep($1)", (60,))]))
    await sleeps(database_urls, connection)
    with socket.socket(fileno=os.dup(connection.pgconn.socket)) as wire:
        wire.shutdown(socket.SHUT_RDWR)
    with pytest.raises(psycopg.OperationalError):
        await call
