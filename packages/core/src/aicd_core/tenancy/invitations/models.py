"""Table of invitations."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from aicd_core.db.base import Base
from aicd_core.db.columns import Created, TenantOwned, words
from aicd_core.ids import InvitationId, OrgId, UserId, new_uuid
from aicd_core.tenancy.permissions import Role


class Invitation(TenantOwned, Base):
    """An offer to join. Only the SHA-256 of the link's token is kept; an address has at most one open one."""

    __tablename__ = "invitations"

    id: Mapped[InvitationId] = mapped_column(primary_key=True, default=new_uuid)
    org_id: Mapped[OrgId] = mapped_column(ForeignKey("organizations.id"))
    email: Mapped[str]
    role: Mapped[Role] = mapped_column(words(Role, "role"))
    token_hash: Mapped[bytes] = mapped_column(LargeBinary)
    invited_by: Mapped[UserId | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    created_at: Mapped[Created]
    expires_at: Mapped[datetime]
    accepted_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("token_hash"),
        Index("ix_invitations_page", "org_id", text("id DESC")),
        Index(
            "uq_invitations_open",
            "org_id",
            text("lower(email)"),
            unique=True,
            postgresql_where=text("accepted_at IS NULL AND revoked_at IS NULL"),
        ),
        CheckConstraint("char_length(email) BETWEEN 3 AND 320", name="email_length"),
        CheckConstraint("NOT (accepted_at IS NOT NULL AND revoked_at IS NOT NULL)", name="one_end"),
    )
