"""Tables of organizations and repositories."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from aicd_core.db.base import Base
from aicd_core.ids import OrgId, RepositoryId, new_uuid


class Organization(Base):
    """A tenant."""

    __tablename__ = "organizations"

    id: Mapped[OrgId] = mapped_column(primary_key=True, default=new_uuid)
    slug: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (CheckConstraint("slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'", name="slug_format"),)


class Repository(Base):
    """A repository that jobs may run on. `source` is its clone URL, or an absolute path on this machine."""

    __tablename__ = "repositories"

    id: Mapped[RepositoryId] = mapped_column(primary_key=True, default=new_uuid)
    org_id: Mapped[OrgId] = mapped_column(ForeignKey("organizations.id"))
    source: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (UniqueConstraint("org_id", "source"), UniqueConstraint("org_id", "id"))
