"""Tables of model calls, the contents of their texts, and checkpoints."""

from typing import Any

from sqlalchemy import BigInteger, ForeignKeyConstraint, Identity, Index, LargeBinary, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from aicd_core.db.base import Base
from aicd_core.db.columns import Created, TenantOwned
from aicd_core.ids import JobId, OrgId


class ModelCall(TenantOwned, Base):
    """A request to a model and its reply, stored before the reply is used; found again after a crash.

    What it cost is in the ledger, under a key made of step, number and hash. `prompts` says from which prompts the
    request was made: role, name, version and SHA-256 of each.

    The texts are lists of pieces in `journal_contents`, and are gone when those are; their SHA-256 stay. A request's
    list begins with the first `shared` pieces of the request whose hash is `base`, an earlier one of the job, and goes
    on with `request_pieces`.
    """

    __tablename__ = "model_calls"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    job_id: Mapped[JobId]
    step: Mapped[str]
    number: Mapped[int]
    request_hash: Mapped[bytes] = mapped_column(LargeBinary)
    model: Mapped[str]
    prompts: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    request_sha256: Mapped[bytes] = mapped_column(LargeBinary)
    reply_sha256: Mapped[bytes] = mapped_column(LargeBinary)
    base: Mapped[bytes | None] = mapped_column(LargeBinary)
    shared: Mapped[int]
    request_pieces: Mapped[list[bytes]] = mapped_column(ARRAY(LargeBinary))
    reply_pieces: Mapped[list[bytes]] = mapped_column(ARRAY(LargeBinary))
    created_at: Mapped[Created]

    __table_args__ = (
        ForeignKeyConstraint(["org_id", "job_id"], ["jobs.org_id", "jobs.id"]),
        UniqueConstraint("org_id", "job_id", "step", "number", "request_hash"),
    )


class Content(TenantOwned, Base):
    """A piece of the texts of a job's calls, known by its SHA-256: stored once, however many of them hold it.

    `packed` is the piece as zlib has it. No piece is shared between jobs: it goes with its job's texts.
    """

    __tablename__ = "journal_contents"

    org_id: Mapped[OrgId] = mapped_column(primary_key=True)
    job_id: Mapped[JobId] = mapped_column(primary_key=True)
    sha256: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    packed: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[Created]

    __table_args__ = (
        ForeignKeyConstraint(["org_id", "job_id"], ["jobs.org_id", "jobs.id"]),
        Index("ix_journal_contents_created_at", "created_at"),
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
        Index("ix_checkpoints_created_at", "created_at"),
    )
