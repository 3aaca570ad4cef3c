"""The base of every table: names of constraints by convention, timestamps with time zone, UUID keys."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import DateTime, MetaData, Uuid
from sqlalchemy.orm import DeclarativeBase

from aicd_core.ids import (
    ApiKeyId,
    DeliveryId,
    ExportId,
    InstallationId,
    InvitationId,
    JobId,
    MembershipId,
    OrgId,
    PolicyId,
    RepositoryId,
    SecretId,
    SessionId,
    UserId,
)

NAMING = {
    "pk": "pk_%(table_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
}

UUID_KINDS = (
    ApiKeyId,
    DeliveryId,
    ExportId,
    InstallationId,
    InvitationId,
    JobId,
    MembershipId,
    OrgId,
    PolicyId,
    RepositoryId,
    SecretId,
    SessionId,
    UserId,
)


class Base(DeclarativeBase):
    """Declarative base of all tables."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: DateTime(timezone=True),
        **{kind: Uuid() for kind in UUID_KINDS},
    }
