"""Having a Postgres read its log when it is started on a copy of its cluster, up to a moment or to the log's end.

https://www.postgresql.org/docs/18/continuous-archiving.html#BACKUP-PITR-RECOVERY
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

SETTINGS = ("restore_command", "recovery_target_action", "recovery_target_time", "hot_standby")
"""What `prepare_recovery` sets, at most."""


def prepare_recovery(cluster: Path, log: Path, until: datetime | None, extra: Mapping[str, str] | None = None) -> None:
    """Lays a log into a copy of a cluster, and has it read by whatever server is started there.

    The file that was being written when the log was shipped counts as far as it goes. All of it is where the server
    finds it by itself, so that nothing is left over; a command that finds nothing has to be named all the same.

    Args:
        log: on the same file system; its files are moved.
        extra: parameters of the server besides.
    """
    for path in log.iterdir():
        path.replace(cluster / "pg_wal" / path.name.removesuffix(".partial"))
    settings = {"restore_command": "false", "recovery_target_action": "promote", **(extra or {})}
    if until is not None:
        settings["recovery_target_time"] = until.isoformat()
    with (cluster / "postgresql.auto.conf").open("a") as file:
        file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
    (cluster / "recovery.signal").touch(mode=0o600)
