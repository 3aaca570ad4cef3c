"""Table of memberships."""

from sqlalchemy import ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from aicd_core.db.base import Base
from aicd_core.db.columns import Created, Revision, TenantOwned, words
from aicd_core.ids import MembershipId, OrgId, UserId, new_uuid
from aicd_core.tenancy.permissions import Role


class Membership(TenantOwned, Base):
    """A user's place in an organization."""

    __tablename__ = "memberships"

    id: Mapped[MembershipId] = mapped_column(primary_key=True, default=new_uuid)
    org_id: Mapped[OrgId] = mapped_column(ForeignKey("organizations.id"))
    user_id: Mapped[UserId] = mapped_column(ForeignKey("users.id"))
    role: Mapped[Role] = mapped_column(words(Role, "role"))
    revision: Mapped[Revision]
    created_at: Mapped[Created]

    __table_args__ = (
        UniqueConstraint("org_id", "user_id"),
        UniqueConstraint("org_id", "id"),
        Index("ix_memberships_of_user", "user_id"),
        Index("ix_memberships_page", "org_id", text("id DESC")),
    )
