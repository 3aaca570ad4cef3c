"""SQL of the journal. What is stored, is stored for the holder of the job's lease only; nothing is ever changed."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Executable,
    Integer,
    LargeBinary,
    Select,
    String,
    Uuid,
    and_,
    bindparam,
    case,
    cast,
    column,
    delete,
    exists,
    func,
    select,
    table,
    true,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert

from aicd_core.contracts import ChangeSet, PromptUse
from aicd_core.db.calls import Call as Statement
from aicd_core.db.calls import Prepared
from aicd_core.db.sessions import Courier, ReadSession, SystemSession, WriteSession
from aicd_core.ids import JobId
from aicd_core.journal.errors import JournalDamagedError
from aicd_core.journal.models import Checkpoint as CheckpointRow
from aicd_core.journal.models import Content, ModelCall
from aicd_core.journal.texts import StoredCall, Texts, text_of, whole
from aicd_core.journal.values import Call, CallDigest, Checkpoint, Kept
from aicd_core.tenancy import Tenant, mine

_JOBS = table(
    "jobs",
    *(column(name, Uuid()) for name in ("org_id", "id")),
    *(column(name, String()) for name in ("lease_owner", "state")),
    column("updated_at", DateTime(timezone=True)),
)
"""What the journal needs of jobs, whose module stands beside this one, not below it."""


def _reply(tenant: Tenant) -> Executable:
    name = func.unnest(ModelCall.reply_pieces).table_valued("sha256", with_ordinality="place", name="name")
    name = name.render_derived()
    held = and_(
        mine(Content, tenant),
        Content.org_id == ModelCall.org_id,
        Content.job_id == ModelCall.job_id,
        Content.sha256 == cast(name.c.sha256, LargeBinary),
    )
    return (
        select(ModelCall.reply_sha256, name.c.sha256, Content.packed)
        .select_from(ModelCall)
        .join(name, true())
        .outerjoin(Content, held)
        .where(
            mine(ModelCall, tenant),
            ModelCall.job_id == bindparam("job_id", type_=Uuid()),
            ModelCall.step == bindparam("step", type_=String()),
            ModelCall.number == bindparam("number", type_=Integer()),
            ModelCall.request_hash == bindparam("request_hash", type_=LargeBinary()),
        )
        .order_by(name.c.place)
    )


_REPLY = Prepared(_reply)


async def get_reply(session: ReadSession | Courier, tenant: Tenant, job_id: JobId, call: Call) -> bytes | None:
    """The content of the reply to a call, or None.

    Raises:
        JournalDamagedError: it was kept, and is not what it was, or not there any more.
    """
    key = {"step": call.step, "number": call.number, "request_hash": call.request_hash}
    rows = await session.call(Statement.of(_REPLY, tenant, job_id=job_id, **key))
    if not rows:
        return None
    packed = {bytes(name): bytes(piece) for _, name, piece in rows if piece is not None}
    text = text_of([bytes(name) for _, name, _ in rows], packed, bytes(rows[0][0]))
    if text is None:
        raise JournalDamagedError(job_id, f"reply to {call.name}")
    return text


_ANSWERED = Prepared(
    lambda tenant: select(ModelCall.number, ModelCall.request_hash).where(
        mine(ModelCall, tenant),
        ModelCall.job_id == bindparam("job_id", type_=Uuid()),
        ModelCall.step == bindparam("step", type_=String()),
    )
)


async def list_answered(
    session: ReadSession | Courier, tenant: Tenant, job_id: JobId, step: str
) -> set[tuple[int, bytes]]:
    """Number and digest of the request of each call of a step."""
    rows = await session.call(Statement.of(_ANSWERED, tenant, job_id=job_id, step=step))
    return {(number, bytes(digest)) for number, digest in rows}


async def list_calls(session: ReadSession, tenant: Tenant, job_id: JobId) -> list[StoredCall]:
    """All calls of a job in the order in which they were kept, with the whole lists of their pieces."""
    columns = (*(getattr(ModelCall, name) for name in _HEAD), ModelCall.base, ModelCall.shared)
    query = select(*columns, ModelCall.request_pieces, ModelCall.reply_pieces).where(
        mine(ModelCall, tenant), ModelCall.job_id == job_id
    )
    lists: dict[bytes, tuple[bytes, ...]] = {}
    calls = []
    for *head, base, shared, own, reply in await session.execute(query.order_by(ModelCall.id)):
        values = dict(zip(_HEAD, head, strict=True))
        names = lists[values["request_hash"]] = tuple(whole(lists, base, shared, own))
        calls.append(StoredCall(**values, request_names=names, reply_names=tuple(reply)))
    return calls


_HEAD = ("step", "number", "model", "request_hash", "request_sha256", "reply_sha256")


async def get_contents(session: ReadSession, tenant: Tenant, job_id: JobId) -> dict[bytes, bytes]:
    """All pieces of the texts of a job's calls by their names, packed."""
    query = select(Content.sha256, Content.packed).where(mine(Content, tenant), Content.job_id == job_id)
    return {bytes(name): bytes(packed) for name, packed in await session.execute(query)}


async def count_contents(session: ReadSession, tenant: Tenant, job_id: JobId) -> int:
    """How many pieces of the texts of a job's calls are kept."""
    query = select(func.count()).select_from(Content).where(mine(Content, tenant), Content.job_id == job_id)
    return (await session.execute(query)).scalar_one()


async def list_digests(session: ReadSession, tenant: Tenant, job_id: JobId) -> list[CallDigest]:
    """All calls of a job in the order in which they were kept, with the hashes of their texts as they were then."""
    columns = (ModelCall.step, ModelCall.number, ModelCall.model, ModelCall.request_sha256, ModelCall.reply_sha256)
    query = select(*columns, ModelCall.prompts).where(mine(ModelCall, tenant), ModelCall.job_id == job_id)
    found = await session.execute(query.order_by(ModelCall.id))
    return [
        CallDigest(step, number, model, request, reply, tuple(map(PromptUse.model_validate, prompts)))
        for step, number, model, request, reply, prompts in found
    ]


def _new_call(tenant: Tenant) -> Executable:
    values: dict[str, ColumnElement[Any]] = {
        **{name: bindparam(name, type_=String()) for name in ("step", "model")},
        **{name: bindparam(name, type_=Integer()) for name in ("number", "shared")},
        **{name: bindparam(name, type_=LargeBinary()) for name in ("request_hash", "request_sha256", "reply_sha256")},
        "base": cast(bindparam("base"), LargeBinary()),  # of NULL alone Postgres could not tell the type
        "prompts": cast(bindparam("prompts", type_=String()), JSONB()),
        **{name: bindparam(name, type_=ARRAY(LargeBinary())) for name in ("request_pieces", "reply_pieces")},
    }
    job_id, owner = bindparam("job_id", type_=Uuid()), bindparam("owner", type_=String())
    held = and_(_JOBS.c.org_id == tenant.org_id, _JOBS.c.id == job_id, _JOBS.c.lease_owner == owner)
    guarded = select(_JOBS.c.org_id, _JOBS.c.id, *values.values()).where(held).with_for_update(read=True)
    new = insert(ModelCall).from_select(["org_id", "job_id", *values], guarded).on_conflict_do_nothing()
    made = new.returning(ModelCall.org_id, ModelCall.job_id).cte("made")
    names = bindparam("names", type_=ARRAY(LargeBinary()))
    packed = bindparam("packed", type_=ARRAY(LargeBinary()))
    piece = func.unnest(names, packed).table_valued("sha256", "packed", name="piece").render_derived()
    rows = select(made.c.org_id, made.c.job_id, piece.c.sha256, piece.c.packed).join_from(made, piece, true())
    content = insert(Content).from_select(["org_id", "job_id", "sha256", "packed"], rows)
    kept = content.on_conflict_do_nothing().returning(Content.sha256).cte("kept")
    return select(made.c.job_id).add_cte(kept)


_NEW_CALL = Prepared(_new_call)


async def store_call(
    session: WriteSession | Courier, tenant: Tenant, job_id: JobId, owner: str, call: Call, texts: Texts
) -> bool:
    """Keeps a call for the holder of the job's lease; False when it is not held, or the call is there already.

    One statement for the call and the pieces of its texts: whoever would take the job over waits until it can be seen.
    """
    values = {
        "step": call.step,
        "number": call.number,
        "model": call.request.model,
        "request_hash": call.request_hash,
        "request_sha256": texts.request_sha256,
        "reply_sha256": texts.reply_sha256,
        "prompts": json.dumps([prompt.model_dump() for prompt in call.request.prompts]),
        "base": texts.base,
        "shared": texts.shared,
        "request_pieces": list(texts.own),
        "reply_pieces": list(texts.reply_names),
        "names": list(texts.contents),
        "packed": list(texts.contents.values()),
    }
    made = await session.call(Statement.of(_NEW_CALL, tenant, job_id=job_id, owner=owner, **values))
    return bool(made)


async def delete_ended(session: SystemSession, states: Sequence[str], before: datetime, most: int) -> int:
    """Removes texts and checkpoints of jobs that came to one of the states before a time; returns how many rows.

    Of the oldest `most` rows, those of the jobs that they belong to, all at once: of no job there is a part.
    """
    gone = 0
    for model in (Content, CheckpointRow):
        job = and_(_JOBS.c.org_id == model.org_id, _JOBS.c.id == model.job_id)
        ended = and_(job, _JOBS.c.state.in_(states), _JOBS.c.updated_at < before)
        oldest = select(model.org_id, model.job_id).where(model.created_at < before, exists().where(ended))
        jobs = oldest.order_by(model.created_at).limit(most).subquery()
        which = tuple_(model.org_id, model.job_id).in_(select(jobs.c.org_id, jobs.c.job_id).distinct())
        rows: Any = model.__table__  # through the model, RETURNING would ask for columns that this role may not read
        gone += len((await session.execute(delete(rows).where(which).returning(rows.c.job_id))).all())
    return gone


def _new_checkpoint(tenant: Tenant) -> Executable:
    values: dict[str, ColumnElement[Any]] = {
        **{name: bindparam(name, type_=Integer()) for name in ("round", "number", "calls")},
        **{name: bindparam(name, type_=LargeBinary()) for name in ("change_set", "history")},
    }
    job_id, owner = bindparam("job_id", type_=Uuid()), bindparam("owner", type_=String())
    held = and_(_JOBS.c.org_id == tenant.org_id, _JOBS.c.id == job_id, _JOBS.c.lease_owner == owner)
    guarded = select(_JOBS.c.org_id, _JOBS.c.id, *values.values()).where(held).with_for_update(read=True)
    added = insert(CheckpointRow).from_select(["org_id", "job_id", *values], guarded)
    return added.on_conflict_do_nothing().returning(CheckpointRow.id)


_NEW_CHECKPOINT = Prepared(_new_checkpoint)


async def store_checkpoint(
    session: WriteSession | Courier, tenant: Tenant, job_id: JobId, owner: str, new: Checkpoint
) -> bool:
    """Appends a checkpoint for the holder of the job's lease; False when it is not held, or the number is taken."""
    values = {
        "round": new.round,
        "number": new.number,
        "calls": new.calls,
        "history": new.history,
        "change_set": new.change_set.model_dump_json().encode(),
    }
    return bool(await session.call(Statement.of(_NEW_CHECKPOINT, tenant, job_id=job_id, owner=owner, **values)))


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
