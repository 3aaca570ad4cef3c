"""What a backup is, as it is written down in the repository."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field, ValidationError

from aicd_core.contracts.values import Value
from aicd_core.errors import ConflictError, UnavailableError

FORMAT = 2
"""Of the manifest, and of what lies beside it; a higher one was made by a newer program. Before 2, the database and
files were all that there was."""
MANIFEST, DUMP, FILES, STORES = "manifest.json", "database.dump", "files", "stores"
"""What a backup consists of."""
DATABASE = "postgres"
"""What the database is called among the stores; it is in every backup."""
DAMAGED = "backup_damaged"

Tell = Callable[[str], None]
"""Takes one sentence about what happens."""


class Dump(Value):
    """The file with the database, or one of a store beside it; its size in bytes."""

    sha256: str
    size: int


class Kept(Value):
    """What a backup holds of a store beside the database: what is in it, counted, and its files by their places."""

    counted: Mapping[str, int]
    files: Mapping[str, Dump]


class Manifest(Value):
    """What a backup holds; `tables` has the rows of each table as of `taken_at`, the database's one moment.

    `gaps` are the stores that could not be taken down, by name, and why.
    """

    format: int
    product: str
    installation: UUID
    revision: str
    taken_at: datetime
    postgres: str
    tables: Mapping[str, int]
    dump: Dump
    also: Mapping[str, str] = Field(default_factory=dict)
    stores: Mapping[str, Kept] = Field(default_factory=dict)
    gaps: Mapping[str, str] = Field(default_factory=dict)

    @classmethod
    def parse(cls, raw: bytes, newest: str) -> "Manifest":
        """The manifest of a backup that this program can restore.

        Args:
            newest: the newest schema that is known.

        Raises:
            ConflictError: `backup_too_new`.
            UnavailableError: `backup_damaged`.
        """
        try:
            found = cls.model_validate_json(raw)
        except ValidationError as error:
            raise UnavailableError(
                "The backup's manifest cannot be read. Use another backup (`aicd backup list`), or the version of aicd "
                "that made this one.",
                code=DAMAGED,
            ) from error
        if found.format > FORMAT or found.revision > newest:
            raise ConflictError(
                f"The backup was made by aicd {found.product} at schema {found.revision}, and this version knows only "
                f"up to {newest}. Use that version of aicd, or a newer one.",
                code="backup_too_new",
            )
        return found


@dataclass(frozen=True)
class Retention:
    """How many backups are kept: the last one of so many days, weeks and months."""

    daily: int
    weekly: int
    monthly: int


@dataclass(frozen=True)
class Stored:
    """A backup in the repository. `id` are the first digits of restic's name for it; `stores` and `gaps` the names of
    stores beside the database that are in it, and that should be."""

    id: str
    installation: UUID
    taken_at: datetime
    revision: str
    stores: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()

    def told(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "id": self.id,
            "taken_at": self.taken_at.isoformat(),
            "installation": str(self.installation),
            "schema": self.revision,
            "stores": [DATABASE, *self.stores],
            "gaps": list(self.gaps),
        }


@dataclass(frozen=True)
class Facts:
    """What a database says of itself; `installation` is None for one that was never marked as an installation's."""

    installation: UUID | None
    revision: str
    now: datetime
    postgres: str
    tables: Mapping[str, int]
