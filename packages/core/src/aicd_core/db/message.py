"""A whole transaction in one message to Postgres, and one answer, over libpq's pipeline.

psycopg's own pipeline sends each statement by itself and looks for answers in between; most of what a transaction cost
this process was that. Only the conversation is here: values are converted by psycopg, whose connections these are.
"""

import itertools
from collections.abc import Generator, Sequence
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

from psycopg import AsyncConnection, OperationalError
from psycopg.abc import Transformer as Values
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus
from psycopg.pq.abc import PGconn, PGresult
from psycopg.waiting import Ready, Wait

Statement: TypeAlias = tuple[bytes, Sequence[Any]]
"""With `$1`, `$2`, … for its parameters, and their values."""

PREPARED_MOST = 200
"""Statements that a connection keeps prepared; each kind of value for a parameter makes another one."""

_prepared: "WeakKeyDictionary[AsyncConnection[Any], dict[tuple[bytes, tuple[int, ...]], bytes]]" = WeakKeyDictionary()
_names = itertools.count()


async def exchange(connection: AsyncConnection[Any], statements: Sequence[Statement]) -> list[tuple[Any, ...]]:
    """Runs the statements in one implicit transaction; the rows of the last one.

    Nobody else may use the connection meanwhile.

    Raises:
        psycopg.Error: nothing of it happened; or, as an OperationalError, the connection broke and it may have.
    """
    values = Transformer(connection)
    result = await connection.wait(_converse(connection, values, statements))
    values.set_pgresult(result)
    return values.load_rows(0, result.ntuples, tuple)


def _converse(
    connection: AsyncConnection[Any], values: Values, statements: Sequence[Statement]
) -> Generator[Wait, Ready | int, PGresult]:
    """Says all, then listens to all; the last statement's result."""
    server = connection.pgconn
    server.enter_pipeline_mode()
    try:
        known = _prepared.setdefault(connection, {})
        new: dict[tuple[bytes, tuple[int, ...]], bytes] = {}
        for sql, parameters in statements:
            dumped = values.dump_sequence(parameters, [PyFormat.AUTO] * len(parameters))
            types = values.types or ()
            key = (sql, types)
            name = known.get(key) or new.get(key)
            if name is None and len(known) < PREPARED_MOST:
                name = new[key] = b"aicd_%d" % next(_names)
                server.send_prepare(name, sql, types)
            if name is None:
                server.send_query_params(sql, dumped, types, values.formats)
            else:
                server.send_query_prepared(name, dumped, values.formats)
        server.pipeline_sync()
        result = yield from _listen(server, len(statements) + len(new))
        known.update(new)
        return result
    finally:
        if server.status == ConnStatus.OK:
            server.exit_pipeline_mode()


def _listen(server: PGconn, commands: int) -> Generator[Wait, Ready | int, PGresult]:
    """Sends what is written and takes the answer to each command, up to the end of the transaction."""
    while server.flush():
        if (yield Wait.RW) & Ready.R:  # the server may wait for us to listen before it reads on
            server.consume_input()
    result: PGresult | None = None
    error: Exception | None = None
    for _ in range(commands):
        while (found := (yield from _next_result(server))) is not None:
            result = found
            if found.status == ExecStatus.FATAL_ERROR and error is None:
                error = error_from_result(found)
    end = yield from _next_result(server)
    if error is not None:
        raise error
    if result is None or end is None or end.status != ExecStatus.PIPELINE_SYNC:
        raise OperationalError("the connection was lost before the server said that the transaction is committed")
    return result


def _next_result(server: PGconn) -> Generator[Wait, Ready | int, PGresult | None]:
    while server.is_busy():
        while not (yield Wait.R):
            continue
        server.consume_input()
    return server.get_result()
