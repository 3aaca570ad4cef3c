"""Tables of users, identities and sessions. A person may belong to several organizations, so none has an org_id."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from aicd_core.db.base import Base
from aicd_core.db.columns import Created, Revision
from aicd_core.ids import SessionId, UserId, new_uuid


class User(Base):
    """A person. `email` counts for linking identities only when it is verified."""

    __tablename__ = "users"

    id: Mapped[UserId] = mapped_column(primary_key=True, default=new_uuid)
    email: Mapped[str]
    email_verified: Mapped[bool]
    name: Mapped[str]
    revision: Mapped[Revision]
    created_at: Mapped[Created]
    deleted_at: Mapped[datetime | None]

    __table_args__ = (
        Index("uq_users_email", text("lower(email)"), unique=True, postgresql_where=text("deleted_at IS NULL")),
        CheckConstraint("char_length(email) BETWEEN 3 AND 320", name="email_length"),
        CheckConstraint("char_length(name) <= 200", name="name_length"),
    )


class Identity(Base):
    """Who a login provider says somebody is: its issuer URL and the subject there."""

    __tablename__ = "identities"

    issuer: Mapped[str] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[UserId] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[Created]


class UserSession(Base):
    """A login. Only the SHA-256 of its token is kept; it ends when idle, at its absolute end, or revoked."""

    __tablename__ = "sessions"

    id: Mapped[SessionId] = mapped_column(primary_key=True, default=new_uuid)
    user_id: Mapped[UserId] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    token_hash: Mapped[bytes] = mapped_column(LargeBinary)
    user_agent: Mapped[str]
    address: Mapped[str]
    created_at: Mapped[Created]
    last_used_at: Mapped[datetime]
    idle_until: Mapped[datetime]
    ends_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]

    __table_args__ = (UniqueConstraint("token_hash"), Index("ix_sessions_of_user", "user_id", text("id DESC")))
