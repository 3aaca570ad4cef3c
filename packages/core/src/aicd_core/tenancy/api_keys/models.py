"""Table of API keys."""

from datetime import datetime

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from aicd_core.db.base import Base
from aicd_core.db.columns import Created, TenantOwned
from aicd_core.ids import ApiKeyId, OrgId, UserId, new_uuid


class ApiKey(TenantOwned, Base):
    """A key for programs. `prefix` is shown and finds the row; of the key itself only the SHA-256 is kept."""

    __tablename__ = "api_keys"

    id: Mapped[ApiKeyId] = mapped_column(primary_key=True, default=new_uuid)
    org_id: Mapped[OrgId] = mapped_column(ForeignKey("organizations.id"))
    name: Mapped[str]
    prefix: Mapped[str]
    key_hash: Mapped[bytes] = mapped_column(LargeBinary)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text()))
    created_by: Mapped[UserId | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    created_at: Mapped[Created]
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    replaces: Mapped[ApiKeyId | None]

    __table_args__ = (
        UniqueConstraint("prefix"),
        UniqueConstraint("org_id", "id"),
        ForeignKeyConstraint(["org_id", "replaces"], ["api_keys.org_id", "api_keys.id"]),
        Index("ix_api_keys_page", "org_id", text("id DESC")),
        CheckConstraint("char_length(name) BETWEEN 1 AND 200", name="name_length"),
    )
