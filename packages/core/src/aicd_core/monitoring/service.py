"""Reading the figures for whoever looks, however many look: at most once in a while, and never for long."""

import asyncio
import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily

from aicd_core.db.database import SystemDatabase
from aicd_core.errors import UnavailableError
from aicd_core.monitoring.values import Figure, Probe, Reading, Samples
from aicd_core.telemetry.backups import BackupFigures
from aicd_core.telemetry.metrics import REGISTRY

FRESH_SECONDS = 5.0
"""What was read is told again for so long."""
READ_SECONDS = 4.0
"""Deadline of the reading; Prometheus waits 10 s for the whole answer."""

UP = Figure("aicd_database_up", "1 if Postgres answered when the figures of the installation were last read, else 0.")
_log = logging.getLogger(__name__)


async def tell_of_backups(data_dir: Path) -> bytes:
    """As `Exposition.text`, of a process that makes backups: of the installation it tells nothing else."""
    backups = CollectorRegistry(auto_describe=False)
    backups.register(BackupFigures(data_dir))
    return generate_latest(REGISTRY) + generate_latest(backups)


class Exposition:
    """All figures of a process and of the installation, as Prometheus reads them.

    While Postgres is away, the figures of the installation are left out: old ones would look like news.

    Args:
        data_dir: whose backups are told of; None for none.
    """

    def __init__(self, system: SystemDatabase, probes: Sequence[Probe], data_dir: Path | None = None) -> None:
        self._system = system
        self._probes = probes
        self._reading: Reading = {UP: {(): 0.0}}
        self._read_at = -FRESH_SECONDS
        self._turn = asyncio.Lock()
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        if data_dir is not None:
            self._registry.register(BackupFigures(data_dir))

    async def text(self) -> bytes:
        """The text format of Prometheus, version 0.0.4."""
        async with self._turn:
            if time.monotonic() - self._read_at >= FRESH_SECONDS:
                self._reading = await self._read()
                self._read_at = time.monotonic()
        return generate_latest(REGISTRY) + generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """The figures of the installation; a `prometheus_client` collector."""
        for figure, samples in self._reading.items():
            family = GaugeMetricFamily(figure.name, figure.about, labels=figure.labels)
            for labels, value in samples.items():
                family.add_metric(labels, value)
            yield family

    async def _read(self) -> Reading:
        found: dict[Figure, Samples] = {}
        try:
            async with asyncio.timeout(READ_SECONDS), self._system.read() as session:
                for probe in self._probes:
                    found |= await probe.read(session)
        except (UnavailableError, TimeoutError) as error:
            _log.warning("the figures of the installation cannot be read: %s", f"{error}" or "no answer in time")
            return {UP: {(): 0.0}}
        return {UP: {(): 1.0}, **found}
