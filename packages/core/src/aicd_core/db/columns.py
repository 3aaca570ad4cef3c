"""Columns that many tables share, each declared once."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from sqlalchemy import Enum, func
from sqlalchemy.orm import Mapped, mapped_column

from aicd_core.ids import OrgId

Created = Annotated[datetime, mapped_column(server_default=func.now())]
"""When the row was made, by the database's clock."""

Revision = Annotated[int, mapped_column(default=1)]
"""Grows by one with every edit; an edit that names an older one changes nothing (optimistic concurrency)."""


class TenantOwned:
    """Mixin of every table whose rows belong to one organization: both walls stand on this column."""

    org_id: Mapped[OrgId]


def words(enumeration: type[StrEnum], name: str) -> Enum:
    """A text column that holds one of the enumeration's values, checked by the database."""
    return Enum(
        enumeration,
        name=name,
        native_enum=False,
        create_constraint=True,
        length=32,
        values_callable=lambda members: [member.value for member in members],
    )
