"""SQL of the journal. What is stored, is stored for the holder of the job's lease only; nothing is ever changed."""

from typing import Any

from sqlalchemy import (
    ColumnElement,
    Executable,
    Integer,
    LargeBinary,
    Select,
    String,
    Uuid,
    and_,
    bindparam,
    case,
    column,
    func,
    literal,
    select,
    table,
)
from sqlalchemy.dialects.postgresql import JSONB, insert

from aicd_core.contracts import ChangeSet, ModelRequest, PromptUse
from aicd_core.db.calls import Call as Statement
from aicd_core.db.calls import Prepared
from aicd_core.db.sessions import Courier, ReadSession, WriteSession
from aicd_core.ids import JobId
from aicd_core.journal.models import Checkpoint as CheckpointRow
from aicd_core.journal.models import ModelCall
from aicd_core.journal.values import Call, CallDigest, Checkpoint, Kept
from aicd_core.tenancy import Tenant, mine

_JOBS = table("jobs", column("org_id", Uuid()), column("id", Uuid()), column("lease_owner", String()))
"""What the journal needs of jobs, whose module stands beside this one, not below it."""


_REPLY = Prepared(
    lambda tenant: select(ModelCall.reply).where(
        mine(ModelCall, tenant),
        ModelCall.job_id == bindparam("job_id", type_=Uuid()),
        ModelCall.step == bindparam("step", type_=String()),
        ModelCall.number == bindparam("number", type_=Integer()),
        ModelCall.request_hash == bindparam("request_hash", type_=LargeBinary()),
    )
)


async def get_reply(session: ReadSession | Courier, tenant: Tenant, job_id: JobId, call: Call) -> bytes | None:
    """The content of the reply to a call, or None."""
    key = {"step": call.step, "number": call.number, "request_hash": call.request_hash}
    rows = await session.call(Statement.of(_REPLY, tenant, job_id=job_id, **key))
    return bytes(rows[0][0]) if rows else None


async def get_request(session: ReadSession, tenant: Tenant, job_id: JobId, call: Call) -> ModelRequest | None:
    """The oldest request stored under the call's step and number, whatever its hash; None when there is none."""
    query = select(ModelCall.model, ModelCall.request).where(
        mine(ModelCall, tenant),
        ModelCall.job_id == job_id,
        ModelCall.step == call.step,
        ModelCall.number == call.number,
    )
    row = (await session.execute(query.order_by(ModelCall.id).limit(1))).one_or_none()
    return None if row is None else ModelRequest(model=row.model, content=row.request)


async def list_digests(session: ReadSession, tenant: Tenant, job_id: JobId) -> list[CallDigest]:
    """All calls of a job in the order in which they were kept; their texts are hashed by the database."""
    hashes = (func.sha256(ModelCall.request), func.sha256(ModelCall.reply))
    query = select(ModelCall.step, ModelCall.number, ModelCall.model, *hashes, ModelCall.prompts).where(
        mine(ModelCall, tenant), ModelCall.job_id == job_id
    )
    found = await session.execute(query.order_by(ModelCall.id))
    return [
        CallDigest(step, number, model, request, reply, tuple(map(PromptUse.model_validate, prompts)))
        for step, number, model, request, reply, prompts in found
    ]


async def store_call(
    session: WriteSession,
    tenant: Tenant,
    job_id: JobId,
    owner: str,
    call: Call,
    reply: bytes,
) -> bool:
    """Keeps a call for the holder of the job's lease; False when it is not held, or the call is there already."""
    values: dict[str, ColumnElement[Any]] = {
        "step": literal(call.step),
        "number": literal(call.number),
        "request_hash": literal(call.request_hash),
        "model": literal(call.request.model),
        "request": literal(call.request.content),
        "reply": literal(reply),
        "prompts": literal([prompt.model_dump() for prompt in call.request.prompts], JSONB()),
    }
    guarded = _held(tenant, job_id, owner).add_columns(*values.values())
    new = insert(ModelCall).from_select(["org_id", "job_id", *values], guarded)
    made = await session.execute(new.on_conflict_do_nothing().returning(ModelCall.id))
    return made.first() is not None


async def store_checkpoint(session: WriteSession, tenant: Tenant, job_id: JobId, owner: str, new: Checkpoint) -> bool:
    """Appends a checkpoint for the holder of the job's lease; False when it is not held, or the number is taken."""
    values: dict[str, ColumnElement[Any]] = {
        "round": literal(new.round),
        "number": literal(new.number),
        "calls": literal(new.calls),
        "change_set": literal(new.change_set.model_dump_json().encode()),
        "history": literal(new.history),
    }
    guarded = _held(tenant, job_id, owner).add_columns(*values.values())
    added = insert(CheckpointRow).from_select(["org_id", "job_id", *values], guarded)
    made = await session.execute(added.on_conflict_do_nothing().returning(CheckpointRow.id))
    return made.first() is not None


def _kept(tenant: Tenant) -> Executable:
    last = CheckpointRow.number == func.max(CheckpointRow.number).over()
    return (
        select(CheckpointRow.history, case((last, CheckpointRow.change_set)), CheckpointRow.calls)
        .where(
            mine(CheckpointRow, tenant),
            CheckpointRow.job_id == bindparam("job_id", type_=Uuid()),
            CheckpointRow.round == bindparam("number", type_=Integer()),
        )
        .order_by(CheckpointRow.number)
    )


_KEPT = Prepared(_kept)


async def get_kept(session: ReadSession | Courier, tenant: Tenant, job_id: JobId, number: int) -> Kept:
    """What the checkpoints of round `number` kept; of the changes only the last one is read."""
    rows = await session.call(Statement.of(_KEPT, tenant, job_id=job_id, number=number))
    if not rows:
        return Kept()
    _, change_set, calls = rows[-1]
    history = tuple(bytes(fragment) for fragment, _, _ in rows)
    return Kept(history, ChangeSet.model_validate_json(bytes(change_set)), calls)


def _held(tenant: Tenant, job_id: JobId, owner: str) -> Select[tuple[object, ...]]:
    """The job, if this owner has its lease; whoever would take it over waits until what is stored can be seen."""
    held = and_(_JOBS.c.org_id == tenant.org_id, _JOBS.c.id == job_id, _JOBS.c.lease_owner == owner)
    return select(_JOBS.c.org_id, _JOBS.c.id).where(held).with_for_update(read=True)
