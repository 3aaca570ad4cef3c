"""What the orchestrator is made of; each process's composition root fills it in."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from aicd_core.contracts import Agent, CodeHost
from aicd_core.db.database import Database, SystemDatabase
from aicd_core.orchestrator.dispatch import NOBODY, Dispatch
from aicd_core.orchestrator.progress import Observer
from aicd_core.settings import Settings
from aicd_core.tenancy import Tenant


class CodeHosts(Protocol):
    """Finds the code host of a repository."""

    def at(self, source: str, tenant: Tenant | None = None) -> CodeHost:
        """The host for a clone URL or path, as stored in `repositories.source`.

        Args:
            tenant: whose job runs commands there, and so whose dependency cache they see; None gives them none.
        """
        ...


@dataclass(frozen=True)
class Parts:
    """Everything a job needs from outside.

    `agents` finds an agent by name, or raises InvalidInputError; `redact` takes secrets out of why a job stopped.
    """

    database: Database
    system: SystemDatabase
    hosts: CodeHosts
    agents: Callable[[str], Agent]
    settings: Settings
    observe: Observer
    dispatch: Dispatch = NOBODY
    redact: Callable[[str], str] = str
