"""Running other programs: Postgres's own, and restic."""

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from psycopg import pq

from aicd_core.db.embedded import binaries_dir
from aicd_core.db.urls import libpq_url
from aicd_core.errors import UnavailableError

LAST_WORDS = 1500
"""Characters of what a program said that an error repeats."""
ENDING_SECONDS = 10


@dataclass(frozen=True)
class Call:
    """One run of a program: its words, its whole environment, and the open files that it inherits.

    `output`: where its stdout goes, instead of into memory. `ending`: the signal at which it tidies up and ends.
    """

    words: Sequence[str]
    environment: Mapping[str, str]
    folder: Path | None = None
    files: tuple[int, ...] = ()
    output: IO[bytes] | None = field(default=None, compare=False)
    ending: signal.Signals = signal.SIGTERM


@dataclass(frozen=True)
class Ended:
    """How a run ended."""

    code: int
    output: bytes
    said: str


async def run(call: Call) -> Ended:
    """Runs a program to its end; if this task is cancelled, the program is told to stop, and waited for."""
    process = await asyncio.create_subprocess_exec(
        *call.words,
        env=dict(call.environment),
        cwd=call.folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=call.output or asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        pass_fds=call.files,
        start_new_session=True,  # Ctrl-C is ours to pass on
    )
    try:
        output, said = await process.communicate()
    finally:
        await end(process, call.ending)
    return Ended(process.returncode or 0, output or b"", said.decode("utf-8", "replace").strip()[-LAST_WORDS:])


async def end(process: asyncio.subprocess.Process, signaled: signal.Signals = signal.SIGTERM) -> None:
    """Tells a program that still runs to stop, and waits until it has."""
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.send_signal(signaled)
    try:
        async with asyncio.timeout(ENDING_SECONDS):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def postgres_call(program: str, url: str, *arguments: str) -> Call:
    """A program of the embedded Postgres's wheel, on the database of a URL, whose password is not in its words."""
    plain = libpq_url(url)
    given = {
        option.envvar.decode(): option.val.decode()
        for option in pq.Conninfo.parse(plain.encode())
        if option.envvar and option.val
    }
    return Call((str(binaries_dir() / program), *arguments), {**_plain_environment(), **given})


async def run_postgres(call: Call, what: str, code: str = "database_unavailable") -> bytes:
    """Runs a program of Postgres; its stdout.

    Args:
        what: the beginning of the sentence about its failure.

    Raises:
        UnavailableError: it failed, for the reason that the message repeats.
    """
    ended = await run(call)
    if ended.code != 0:
        raise UnavailableError(f"{what}: {ended.said}", code=code)
    return ended.output


def _plain_environment() -> dict[str, str]:
    """Nothing of a person's own settings of Postgres; the library of TLS finds its certificates."""
    kept = ("HOME", "PATH", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"LC_ALL": "C.UTF-8"}
