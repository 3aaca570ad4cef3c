"""Acts as the rest of the program sees them: frozen, detached from the database."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import TypeAlias
from uuid import UUID

from aicd_core.ids import UserId
from aicd_core.tenancy.audit.models import ActorKind

JSON: TypeAlias = "str | int | float | bool | Sequence[JSON] | Mapping[str, JSON] | None"
"""What a JSON document may hold."""

NO_DETAIL: Mapping[str, JSON] = MappingProxyType({})


@dataclass(frozen=True)
class Actor:
    """Who acts: `id` is a user's or key's id, or the name of a part of the program."""

    kind: ActorKind
    id: str

    @property
    def user_id(self) -> UserId | None:
        """The user who acts; None when it is a key or the program itself."""
        return UserId(UUID(self.id)) if self.kind is ActorKind.USER else None


@dataclass(frozen=True)
class AuditFilter:
    """Which acts are wanted; what is empty or None asks for nothing. `actions` is any of them."""

    actions: tuple[str, ...] = ()
    actor_id: str | None = None
    target_kind: str | None = None
    target_id: str | None = None


@dataclass(frozen=True)
class AuditView:
    """One act, as it was written."""

    id: int
    actor: Actor
    action: str
    target_kind: str
    target_id: str
    detail: Mapping[str, JSON]
    created_at: datetime


def texts_in(value: JSON) -> Iterator[str]:
    """Every text in a JSON document, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield key
            yield from texts_in(inner)
    elif isinstance(value, Sequence):
        for inner in value:
            yield from texts_in(inner)
