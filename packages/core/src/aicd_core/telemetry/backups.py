"""What the last backup of a data directory came to: kept in a file, told by every process that has the directory."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from aicd_core.telemetry.metrics import DECLARED, Declared

RECORD = Path("backup/record.json")
"""Below the data directory."""


@dataclass(frozen=True)
class Record:
    """The last backup that was stored and read back. Times since 1970, in seconds; the size in bytes, before restic.

    `wal`: up to when the log reaches that was shipped; 0 where it is kept and never was, None where it is not kept.
    `stores`: of each store beside the database that should have been in it, when it last was; 0 for never.
    """

    last_success: float
    duration: float
    size: int
    wal: float | None = None
    stores: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def read(cls, data_dir: Path) -> "Record | None":
        """The record of a data directory; None without one that can be read."""
        try:
            return cls(**json.loads((data_dir / RECORD).read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    @staticmethod
    def remove(data_dir: Path) -> None:
        """Has a data directory tell of no backup."""
        (data_dir / RECORD).unlink(missing_ok=True)

    def write(self, data_dir: Path) -> None:
        """Replaces the record of a data directory, whole."""
        half = data_dir / RECORD.with_name(".record.new")
        half.write_text(json.dumps(asdict(self)))
        half.replace(data_dir / RECORD)


_FIGURES = {
    "last_success": (
        "aicd_backup_last_success_timestamp_seconds",
        "When the last backup was whole in the repository, read back and held against its checksums.",
    ),
    "duration": ("aicd_backup_duration_seconds", "How long it took."),
    "size": ("aicd_backup_size_bytes", "How large it is, before it was compressed and told apart from what was there."),
    "wal": (
        "aicd_backup_wal_timestamp_seconds",
        "Up to when the database can be restored to any moment; 0 for never. Only where its log is kept.",
    ),
}
_STORE = (
    "aicd_backup_store_last_success_timestamp_seconds",
    "When a store beside the database was last in a backup that is whole; 0 for never. Only of those configured.",
)
DECLARED.append(Declared(_STORE[0], "gauge", ("store",), f"{_STORE[1]} Where a backup was made."))
DECLARED.extend(Declared(name, "gauge", (), f"{about} Where a backup was made.") for name, about in _FIGURES.values())


class BackupFigures:
    """A collector of `prometheus_client`.

    Args:
        data_dir: whose backups are told of.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir

    def collect(self) -> Iterator[Metric]:
        """The record's figures; none before the first backup."""
        record = Record.read(self._data_dir)
        for told, (name, about) in _FIGURES.items() if record else ():
            value = getattr(record, told)
            if value is not None:
                yield GaugeMetricFamily(name, about, value=value)
        if record and record.stores:
            family = GaugeMetricFamily(*_STORE, labels=["store"])
            for store, last in record.stores.items():
                family.add_metric([store], last)
            yield family
