"""`Idempotency-Key`: a request that is sent twice is carried out once, and answered twice.

After https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/. An answer may hold a secret that is
shown once, so it is stored encrypted: with a key that is made of the caller's credential and the name of the request,
neither of which the database has.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from secrets import token_bytes

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from starlette.requests import Request
from starlette.responses import Response

from aicd_backend.callers import Caller, TenantCaller
from aicd_backend.problems import RefusedError
from aicd_core.errors import ConflictError
from aicd_core.ids import new_uuid
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.idempotency import service
from aicd_core.tenancy.idempotency.values import RequestClaim, RequestName
from aicd_core.tenancy.memberships.service import organizations_of
from aicd_core.tenancy.permissions import Role

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
MOST = 255
KEPT = timedelta(hours=24)
KEPT_HEADERS = ("content-type", "etag", "location")
NONCE = 12
"""Bytes of AES-GCM's nonce (NIST SP 800-38D, 8.2)."""


async def answer_once(
    request: Request, caller: TenantCaller, handle: Callable[[Request], Awaitable[Response]]
) -> Response:
    """Carries a named request out, or gives the answer that it had.

    Raises:
        RefusedError: 400 for a name that cannot be one, 409 for an answer under another login.
        AicdError: as `idempotency.service.begin`.
    """
    held = _claim(request, caller, await request.body())
    async with caller.stores.database.write(caller.tenant) as session:
        stored = await service.begin(session, caller.tenant, held, caller.now)
    seal = _Seal(caller, caller.tenant, _name_of(request), held.name)
    if stored is not None:
        return _response(seal.open(stored))
    request.state.caller = replace(caller, held=held)
    try:
        response = await handle(request)
    except BaseException:
        async with caller.stores.database.write(caller.tenant) as session:
            await service.abandon(session, caller.tenant, held)
        raise
    async with caller.stores.database.write(caller.tenant) as session:
        await service.finish(session, caller.tenant, held, seal.close(_content(response)))
    return response


async def found_once(request: Request, caller: Caller, handle: Callable[[Request], Awaitable[Response]]) -> Response:
    """As `answer_once`, for a request that founds an organization: it is kept with what it makes.

    The route founds with `founding.found`, which claims the request in the very transaction of the organization; so a
    second one that comes at the same time is known by the slug that it finds taken.
    """
    held = _claim(request, caller, await request.body())
    if (known := await _recall(request, caller, held)) is not None:
        return known
    request.state.caller = replace(caller, held=held)
    try:
        response = await handle(request)
    except (ConflictError, RefusedError):
        if (known := await _recall(request, caller, held)) is not None:
            return known
        raise
    tenant: Tenant = request.state.founded
    async with caller.stores.database.write(tenant) as session:
        seal = _Seal(caller, tenant, _name_of(request), held.name)
        await service.finish(session, tenant, held, seal.close(_content(response)))
    return response


async def _recall(request: Request, caller: Caller, held: RequestClaim) -> Response | None:
    async with caller.stores.system.read() as system:
        owned = [org for org in await organizations_of(system, caller.user_id) if org.role is Role.OWNER]
    for org in owned:
        tenant = Tenant(org.org_id)
        async with caller.stores.database.read(tenant) as session:
            stored = await service.recall(session, tenant, held, caller.now)
        if stored is not None:
            return _response(_Seal(caller, tenant, _name_of(request), held.name).open(stored))
    return None


def _name_of(request: Request) -> str:
    name = request.headers[HEADER]
    if not 1 <= len(name) <= MOST or not name.isascii() or not name.isprintable():
        raise RefusedError(400, "bad_idempotency_key", f"An Idempotency-Key has 1 to {MOST} visible ASCII characters.")
    return name


def _claim(request: Request, caller: Caller, body: bytes) -> RequestClaim:
    asked = json.dumps([request.method, request.url.path, request.url.query]).encode()
    name = RequestName(f"{caller.actor.kind.value}:{caller.actor.id}", _sha256(_name_of(request).encode()))
    until = caller.now + timedelta(seconds=caller.stores.settings.request_timeout)
    return RequestClaim(name, _sha256(asked + b"\0" + body), new_uuid(), until, caller.now + KEPT)


def _sha256(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def _content(response: Response) -> bytes:
    headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    answer = {"status": response.status_code, "headers": headers, "body": bytes(response.body).decode()}
    return json.dumps(answer).encode()


def _response(content: bytes) -> Response:
    answer = json.loads(content)
    return Response(answer["body"], answer["status"], {**answer["headers"], REPLAYED: "true"})


class _Seal:
    """Encrypts answers for one caller and one name."""

    def __init__(self, caller: Caller, tenant: Tenant, name: str, of: RequestName) -> None:
        secret = json.dumps([caller.credential, name]).encode()
        self._cipher = AESGCM(HKDF(SHA256(), 32, salt=None, info=b"aicd idempotency 1").derive(secret))
        self._bound = tenant.org_id.bytes + of.caller.encode() + of.name_hash

    def close(self, content: bytes) -> bytes:
        nonce = token_bytes(NONCE)
        return nonce + self._cipher.encrypt(nonce, content, self._bound)

    def open(self, sealed: bytes) -> bytes:
        try:
            return self._cipher.decrypt(sealed[:NONCE], sealed[NONCE:], self._bound)
        except InvalidTag as error:
            raise RefusedError(
                409,
                "idempotency_answer_sealed",
                "This request was carried out under another login of yours, and only that one can read its answer. "
                "Look for what it made.",
            ) from error
