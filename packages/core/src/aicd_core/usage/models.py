"""The ledger's table."""

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, ForeignKeyConstraint, Identity, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from aicd_core.db.base import Base
from aicd_core.db.columns import Created, TenantOwned
from aicd_core.ids import JobId, OrgId


class UsageEntry(TenantOwned, Base):
    """What one step of a job cost. Written in the transaction that stores the step's result."""

    __tablename__ = "usage_entries"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    job_id: Mapped[JobId]
    entry_key: Mapped[str]
    input_tokens: Mapped[int] = mapped_column(BigInteger)
    cached_input_tokens: Mapped[int] = mapped_column(BigInteger)
    cache_write_tokens: Mapped[int] = mapped_column(BigInteger)
    output_tokens: Mapped[int] = mapped_column(BigInteger)
    cost_micro_usd: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[Created]

    __table_args__ = (
        ForeignKeyConstraint(["org_id", "job_id"], ["jobs.org_id", "jobs.id"]),
        UniqueConstraint("org_id", "job_id", "entry_key"),
        Index("ix_usage_entries_span", "org_id", "created_at"),
        CheckConstraint(
            "input_tokens >= 0 AND cached_input_tokens >= 0 AND cache_write_tokens >= 0 "
            "AND output_tokens >= 0 AND cost_micro_usd >= 0",
            name="not_negative",
        ),
    )


class Spending(TenantOwned, Base):
    """The sum of a part of the ledger, kept by whatever books an entry, so that a budget is compared in one look.

    `subject` is a job, an issue (all its jobs), or a repository or the organization in one month of UTC.
    """

    __tablename__ = "spending"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    org_id: Mapped[OrgId] = mapped_column(ForeignKey("organizations.id"))
    subject: Mapped[str]
    micro_usd: Mapped[int] = mapped_column(BigInteger)

    __table_args__ = (
        UniqueConstraint("org_id", "subject"),
        CheckConstraint("micro_usd >= 0", name="not_negative"),
    )


class Reservation(TenantOwned, Base):
    """The most that a call under way can cost, in micro-USD: gone when what it did cost is on the ledger.

    It counts as long as `owner` has the job's lease. `entry_key` is the key that the call's entry will have.
    """

    __tablename__ = "reservations"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    job_id: Mapped[JobId]
    entry_key: Mapped[str]
    owner: Mapped[str]
    micro_usd: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[Created]

    __table_args__ = (
        ForeignKeyConstraint(["org_id", "job_id"], ["jobs.org_id", "jobs.id"]),
        UniqueConstraint("org_id", "job_id", "entry_key"),
        CheckConstraint("micro_usd > 0", name="positive"),
    )


class ErasedLedger(Base):
    """What is left of an erased organization: the sums of its ledger, for the books, and nothing else."""

    __tablename__ = "erased_ledgers"

    org_id: Mapped[OrgId] = mapped_column(primary_key=True)
    entries: Mapped[int] = mapped_column(BigInteger)
    input_tokens: Mapped[int] = mapped_column(BigInteger)
    cached_input_tokens: Mapped[int] = mapped_column(BigInteger)
    cache_write_tokens: Mapped[int] = mapped_column(BigInteger)
    output_tokens: Mapped[int] = mapped_column(BigInteger)
    cost_micro_usd: Mapped[int] = mapped_column(BigInteger)
    erased_at: Mapped[Created]
