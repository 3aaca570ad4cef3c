"""Whether this process tells its figures. What serves them is loaded only where it does."""

import importlib
import math
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol, TypeAlias, cast

from aicd_core.db.database import SystemDatabase
from aicd_core.monitoring.probes import PROBES
from aicd_core.monitoring.service import Exposition
from aicd_core.monitoring.values import Probe
from aicd_core.settings import Settings
from aicd_core.telemetry.metrics import DATA_FREE, DATA_SIZE

FiguresText: TypeAlias = Callable[[], Awaitable[bytes]]


class _MetricsServer(Protocol):
    """What `aicd_cli.metrics_server` offers."""

    def serving(self, host: str, port: int, text: FiguresText) -> AbstractAsyncContextManager[None]: ...


@asynccontextmanager
async def metered(settings: Settings, system: SystemDatabase, probes: Sequence[Probe] = PROBES) -> AsyncIterator[None]:
    """Serves `/metrics` on a port of its own for as long as the block lasts; does nothing without AICD_METRICS_PORT.

    Args:
        probes: what is told of the whole installation.

    Raises:
        UnavailableError: the port cannot be had.
    """
    exposition = Exposition(system, probes, settings.resolved_data_dir())
    async with served(settings, exposition.text):
        yield


@asynccontextmanager
async def served(settings: Settings, text: FiguresText) -> AsyncIterator[None]:
    """As `metered`, of whatever `text` tells."""
    if settings.metrics_port is None:
        yield
        return
    place = settings.resolved_data_dir()
    DATA_SIZE.set_function(lambda: _disk(place)[0])
    DATA_FREE.set_function(lambda: _disk(place)[1])
    server = cast("_MetricsServer", importlib.import_module("aicd_cli.metrics_server"))
    async with server.serving(settings.metrics_host, settings.metrics_port, text):
        yield


def _disk(place: Path) -> tuple[float, float]:
    """Size and free space of a folder's disk, in bytes; NaN when it cannot be looked at, which no alert is about."""
    try:
        usage = shutil.disk_usage(place)
    except OSError:
        return math.nan, math.nan
    return usage.total, usage.free
