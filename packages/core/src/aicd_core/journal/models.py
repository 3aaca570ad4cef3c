"""Tables of model calls and checkpoints."""

from typing import Any

from sqlalchemy import BigInteger, ForeignKeyConstraint, Identity, LargeBinary, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from aicd_core.db.base import Base
from aicd_core.db.columns import Created, TenantOwned
from aicd_core.ids import JobId


class ModelCall(TenantOwned, Base):
    """A request to a model and its reply, stored before the reply is used; found again after a crash.

    What it cost is in the ledger, under a key made of step, number and hash. `prompts` says from which prompts the
    request was made: role, name, version and SHA-256 of each.
    """

    __tablename__ = "model_calls"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    job_id: Mapped[JobId]
    step: Mapped[str]
    number: Mapped[int]
    request_hash: Mapped[bytes] = mapped_column(LargeBinary)
    model: Mapped[str]
    request: Mapped[bytes] = mapped_column(LargeBinary)
    reply: Mapped[bytes] = mapped_column(LargeBinary)
    prompts: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    created_at: Mapped[Created]

    __table_args__ = (
        ForeignKeyConstraint(["org_id", "job_id"], ["jobs.org_id", "jobs.id"]),
        UniqueConstraint("org_id", "job_id", "step", "number", "request_hash"),
    )


class Checkpoint(TenantOwned, Base):
    """How far a coding round had come: the change so far, and what was added to the message history since the last.

    `change_set` is the UTF-8 JSON of its contract value; `calls` counts the calls of the model that the round had made.
    """

    __tablename__ = "checkpoints"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    job_id: Mapped[JobId]
    round: Mapped[int]
    number: Mapped[int]
    calls: Mapped[int]
    change_set: Mapped[bytes] = mapped_column(LargeBinary)
    history: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[Created]

    __table_args__ = (
        ForeignKeyConstraint(["org_id", "job_id"], ["jobs.org_id", "jobs.id"]),
        UniqueConstraint("org_id", "job_id", "round", "number"),
    )
