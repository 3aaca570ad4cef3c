"""Table of tenants' secrets."""

from sqlalchemy import CheckConstraint, ForeignKey, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from aicd_core.db.base import Base
from aicd_core.db.columns import Created, Revision, TenantOwned
from aicd_core.ids import OrgId, SecretId, new_uuid


class Secret(TenantOwned, Base):
    """A named secret. `ciphertext` is what `keyring.py` says, `key_id` names the key that made it."""

    __tablename__ = "secrets"

    id: Mapped[SecretId] = mapped_column(primary_key=True, default=new_uuid)
    org_id: Mapped[OrgId] = mapped_column(ForeignKey("organizations.id"))
    name: Mapped[str]
    key_id: Mapped[str]
    ciphertext: Mapped[bytes] = mapped_column(LargeBinary)
    revision: Mapped[Revision]
    created_at: Mapped[Created]

    __table_args__ = (
        UniqueConstraint("org_id", "name"),
        CheckConstraint("name ~ '^[A-Z][A-Z0-9_]{0,99}$'", name="name_format"),
    )
