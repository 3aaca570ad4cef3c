"""CPU time of this process and of the servers that a run works with."""

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import psycopg
from redis import Redis

_TICKS = os.sysconf("SC_CLK_TCK")
_PARENT, _UTIME = 1, 11
"""Places in /proc/<pid>/stat after the name (proc(5), fields 4 and 14); ended children's times follow."""


def own_seconds() -> float:
    """CPU seconds of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class Servers:
    """The Postgres and the Redis of a run, on this machine."""

    def __init__(self, admin_url: str, redis_url: str | None) -> None:
        with psycopg.connect(admin_url) as connection:
            self._postmaster = int(_stat(connection.info.backend_pid)[_PARENT])
        self._redis: int | None = None
        if redis_url is not None:
            with Redis.from_url(redis_url) as client:
                self._redis = int(client.info("server")["process_id"])

    def seconds(self) -> float:
        """CPU seconds up to now, of Postgres with all its processes, those that have ended as well."""
        ticks = sum(map(int, _stat(self._postmaster)[_UTIME : _UTIME + 4]))
        ticks += sum(_ticks(stat) for stat in _stats() if stat[_PARENT] == str(self._postmaster))
        if self._redis is not None:
            ticks += _ticks(_stat(self._redis))
        return ticks / _TICKS


def _ticks(stat: list[str]) -> int:
    return sum(map(int, stat[_UTIME : _UTIME + 2]))


def _stats() -> Iterator[list[str]]:
    for place in Path("/proc").glob("[0-9]*"):
        try:
            yield _stat(int(place.name))
        except OSError:
            continue  # it has just ended


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
