"""SQL of named requests."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Update, and_, delete, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from aicd_core.db.sessions import ReadSession, WriteSession
from aicd_core.tenancy import Tenant, mine
from aicd_core.tenancy.idempotency.models import NamedRequest
from aicd_core.tenancy.idempotency.values import KnownRequest, RequestClaim, RequestName


async def claim(session: WriteSession, tenant: Tenant, new: RequestClaim, now: datetime) -> bool:
    """Claims a request that is new, expired, or was left undone; False when it is another's or done."""
    values: dict[str, Any] = {
        "fingerprint": new.fingerprint,
        "claim": new.claim,
        "claimed_until": new.claimed_until,
        "done": False,
        "answer": None,
        "expires_at": new.expires_at,
    }
    key = {"org_id": tenant.org_id, **vars(new.name)}
    left = and_(NamedRequest.done.is_(False), NamedRequest.claimed_until <= now)
    taken = (
        insert(NamedRequest)
        .values(**key, **values)
        .on_conflict_do_update(index_elements=list(key), set_=values, where=or_(NamedRequest.expires_at <= now, left))
    )
    return (await session.execute(taken.returning(NamedRequest.claim))).first() is not None


async def find_request(session: ReadSession, tenant: Tenant, name: RequestName) -> KnownRequest | None:
    """What is known of a request, or None."""
    query = select(
        *(NamedRequest.fingerprint, NamedRequest.claimed_until, NamedRequest.expires_at),
        *(NamedRequest.done, NamedRequest.answer),
    )
    row = (await session.execute(query.where(mine(NamedRequest, tenant), *_named(name)))).one_or_none()
    return KnownRequest(*row) if row else None


async def mark_done(session: WriteSession, tenant: Tenant, held: RequestClaim) -> bool:
    """Says, in the transaction that carries a request out, that it was; False when it is another's by now."""
    change = update(NamedRequest).where(mine(NamedRequest, tenant), *_held(held))
    return await _changed(session, change.values(done=True))


async def store_answer(session: WriteSession, tenant: Tenant, held: RequestClaim, answer: bytes) -> bool:
    """Keeps the answer of a request that was carried out; False when it is another's by now."""
    change = update(NamedRequest).where(mine(NamedRequest, tenant), *_held(held))
    return await _changed(session, change.values(done=True, answer=answer))


async def release(session: WriteSession, tenant: Tenant, held: RequestClaim) -> bool:
    """Forgets a request that changed nothing; False when it did, or is another's by now."""
    gone = delete(NamedRequest).where(mine(NamedRequest, tenant), *_held(held), NamedRequest.done.is_(False))
    return (await session.execute(gone.returning(NamedRequest.claim))).first() is not None


async def forget_expired(session: WriteSession, tenant: Tenant, now: datetime) -> int:
    """Forgets the tenant's requests that have expired; how many there were."""
    gone = delete(NamedRequest).where(mine(NamedRequest, tenant), NamedRequest.expires_at <= now)
    return len((await session.execute(gone.returning(NamedRequest.claim))).all())


async def _changed(session: WriteSession, change: Update) -> bool:
    return (await session.execute(change.returning(NamedRequest.claim))).first() is not None


def _named(name: RequestName) -> tuple[ColumnElement[bool], ...]:
    return (NamedRequest.caller == name.caller, NamedRequest.name_hash == name.name_hash)


def _held(held: RequestClaim) -> tuple[ColumnElement[bool], ...]:
    return (*_named(held.name), NamedRequest.claim == held.claim)
