"""Rules of requests that are sent twice and carried out once."""

from datetime import datetime

from aicd_core.db.sessions import ReadSession, WriteSession
from aicd_core.errors import ConflictError, InvalidInputError
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.idempotency import repository
from aicd_core.tenancy.idempotency.values import KnownRequest, RequestClaim


async def begin(session: WriteSession, tenant: Tenant, new: RequestClaim, now: datetime) -> bytes | None:
    """Claims a named request, or gives the answer that it had; also forgets the tenant's expired ones.

    Returns:
        None when it is the caller's to carry out now, and to end with `finish` or `abandon`.

    Raises:
        InvalidInputError: `idempotency_key_reused`: the name stands for another request.
        ConflictError: `idempotency_in_progress`: another is at work on it just now; `idempotency_answer_lost`: it was
            carried out, and its answer was never stored.
    """
    await repository.forget_expired(session, tenant, now)
    if await repository.claim(session, tenant, new, now):
        return None
    known = await repository.find_request(session, tenant, new.name)
    if known is None:
        raise _in_progress()
    return _answer_of(known, new, now)


async def recall(session: ReadSession, tenant: Tenant, new: RequestClaim, now: datetime) -> bytes | None:
    """The answer that a named request had; None when nobody sent one of this name here, or none that is kept.

    Raises:
        AicdError: as `begin`.
    """
    known = await repository.find_request(session, tenant, new.name)
    return None if known is None or known.expires_at <= now else _answer_of(known, new, now)


def _answer_of(known: KnownRequest, new: RequestClaim, now: datetime) -> bytes:
    if known.fingerprint != new.fingerprint:
        raise InvalidInputError(
            "This Idempotency-Key was sent before with another request. Choose a new key for a new request.",
            code="idempotency_key_reused",
        )
    if known.answer is None and (not known.done or known.claimed_until > now):
        raise _in_progress()
    if known.answer is None:
        raise ConflictError(
            "This request was carried out, but its answer was lost. Look for what it made before you send it again "
            "with a new Idempotency-Key.",
            code="idempotency_answer_lost",
        )
    return known.answer


def _in_progress() -> ConflictError:
    return ConflictError(
        "The same request is being carried out just now. Send it again in a moment for its answer.",
        code="idempotency_in_progress",
    )


async def carry_out(session: WriteSession, tenant: Tenant, held: RequestClaim) -> None:
    """Marks the request as done in the very transaction that does it: both happen, or neither.

    Raises:
        ConflictError: `idempotency_in_progress`: it took so long that another took it over.
    """
    if not await repository.mark_done(session, tenant, held):
        raise ConflictError(
            "The request took too long, and the same one was begun again. Send it again for its answer.",
            code="idempotency_in_progress",
        )


async def finish(session: WriteSession, tenant: Tenant, held: RequestClaim, answer: bytes) -> bool:
    """Keeps the answer for whoever sends the request again; False when another took it over."""
    return await repository.store_answer(session, tenant, held, answer)


async def abandon(session: WriteSession, tenant: Tenant, held: RequestClaim) -> bool:
    """Forgets a request that changed nothing, so that it may be sent again; False when it did change something."""
    return await repository.release(session, tenant, held)
