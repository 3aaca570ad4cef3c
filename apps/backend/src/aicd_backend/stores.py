"""What every request reaches: the database, as each role, and the settings of the process."""

from dataclasses import dataclass

from aicd_backend.settings import BackendSettings
from aicd_core.db.database import Database, SystemDatabase


@dataclass(frozen=True)
class Stores:
    """Connections of one process. The system role finds out who asks; everything else is the application's."""

    database: Database
    system: SystemDatabase
    settings: BackendSettings
