"""What every request reaches: the database, as each role, what steers jobs, and the settings of the process."""

from dataclasses import dataclass
from typing import Self

from aicd_backend.live import Feed
from aicd_backend.settings import BackendSettings
from aicd_cli.hosts import Hosts
from aicd_cli.serving import log_progress
from aicd_core.agents.registry import load_agent
from aicd_core.db.database import Database, SystemDatabase
from aicd_core.orchestrator import Dispatch, Parts


@dataclass(frozen=True)
class Stores:
    """Connections of one process. The system role finds out who asks; everything else is the application's."""

    database: Database
    system: SystemDatabase
    settings: BackendSettings
    parts: Parts
    feed: Feed

    @classmethod
    def of(
        cls,
        database: Database,
        system: SystemDatabase,
        settings: BackendSettings,
        hosts: Hosts,
        dispatch: Dispatch | None = None,
    ) -> Self:
        """All of it on two connections.

        Args:
            hosts: guarded, since callers are of many organizations.
            dispatch: how workers are sent for; through Postgres itself, if nothing else is given.

        Raises:
            ValueError: the hosts are not guarded.
        """
        if not hosts.guarded:
            raise ValueError("Anybody would get into any repository that a credential opens: guard the hosts first.")
        parts = Parts(
            database=database,
            system=system,
            hosts=hosts,
            agents=load_agent,
            settings=settings,
            observe=log_progress,
            dispatch=dispatch or Dispatch(in_statement=True),
        )
        return cls(database, system, settings, parts, Feed(database, system))
