"""The endpoint that GitHub delivers to: verify, store, answer. An ASGI application, or a route of another one."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Lifespan, Receive, Scope, Send

from aicd_core.deliveries.values import NewDelivery, Stored
from aicd_core.errors import InvalidInputError, UnavailableError
from aicd_github.webhooks import SOURCE, payload, signature
from aicd_github.webhooks.reading import BodyReader, GoneError, OverloadedError, SlowError, TooLargeError
from aicd_github.webhooks.signature import Secrets

PATH = "/webhooks/github"
BODY_MOST = 25_000_000
"""Bytes: https://docs.github.com/webhooks/webhook-events-and-payloads#payload-cap."""
MEMORY = 8 * BODY_MOST
"""Bytes of all bodies that are being read or stored."""
STORE_SECONDS = 8.0
"""GitHub waits 10 s for the answer."""
PROBLEM_TYPE = "application/problem+json"

Keep = Callable[[NewDelivery], Awaitable[Stored]]
"""Stores a verified message and has it handled later; it is committed on return. Raises UnavailableError."""

_EVENT = re.compile(r"[a-z][a-z0-9_]{0,63}")
_DELIVERY = re.compile(r"[!-~]{1,100}")
_log = logging.getLogger(__name__)


class _RefusedError(Exception):
    """A delivery that is not taken; `headers` go with the answer."""

    def __init__(self, status: int, code: str, detail: str, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        super().__init__(code)
        self._status = status
        self._headers = dict(headers)
        self._problem = {"type": "about:blank", "status": status, "code": code, "detail": detail}

    def response(self) -> Response:
        return JSONResponse(self._problem, self._status, self._headers, PROBLEM_TYPE)


class WebhookEndpoint:
    """An ASGI application of one path.

    Args:
        secrets: what deliveries are signed with.
        keep: stores them.
        api_url: GitHub's REST API, as `installations.host` has it.
        most: bytes of one body; `memory`: of all bodies at a time.
    """

    def __init__(
        self, secrets: Secrets, keep: Keep, api_url: str, *, most: int = BODY_MOST, memory: int = MEMORY
    ) -> None:
        self._secrets = secrets
        self._keep = keep
        self._api_url = api_url
        self._most = most
        self._reader = BodyReader(most, memory)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._answer(Headers(scope=scope), receive)
        except _RefusedError as refusal:
            response = refusal.response()
        except GoneError:
            return
        await response(scope, receive, send)

    async def _answer(self, headers: Headers, receive: Receive) -> Response:
        event, external_id, signed = self._checked(headers)
        try:
            async with self._reader.read(receive) as body:
                if not self._secrets.signed(body, signed):
                    raise _unsigned()
                new = self._delivery(event, external_id, headers.get("Content-Type", ""), body)
                stored = await self._stored(new)
        except TooLargeError as error:
            raise self._too_large() from error
        except OverloadedError as error:
            raise _unavailable("overloaded", "Too many deliveries are coming in at once. Deliver it again.") from error
        except SlowError as error:
            raise _RefusedError(408, "slow_body", "The body did not come in time.", _CLOSE) from error
        return JSONResponse({"status": stored.value, "delivery": external_id}, 202)

    def _checked(self, headers: Headers) -> tuple[str, str, str]:
        """Event, delivery id and signature, from the headers alone: what cannot be taken is not even read."""
        declared = headers.get("Content-Length", "")
        if declared.isascii() and declared.isdigit() and int(declared[:20]) > self._most:
            raise self._too_large()
        signed = headers.get(signature.HEADER)
        if signed is None or not signature.well_formed(signed):
            raise _unsigned()
        event, external_id = headers.get("X-GitHub-Event", ""), headers.get("X-GitHub-Delivery", "")
        if not _EVENT.fullmatch(event) or not _DELIVERY.fullmatch(external_id):
            raise _RefusedError(
                400, "bad_headers", "X-GitHub-Event and X-GitHub-Delivery must name the event and the delivery.", _CLOSE
            )
        return event, external_id, signed

    def _delivery(self, event: str, external_id: str, content_type: str, body: bytes) -> NewDelivery:
        try:
            unwrapped = payload.unwrap(content_type, body)
            found = payload.parse(unwrapped)
        except InvalidInputError as error:
            status = 415 if error.code == "unsupported_content_type" else 400
            raise _RefusedError(status, error.code, error.message) from error
        return NewDelivery(
            source=SOURCE,
            external_id=external_id,
            event=event,
            body=unwrapped,
            host=self._api_url,
            installation=payload.installation_of(found),
            subject=payload.subject_of(event, found),
        )

    async def _stored(self, new: NewDelivery) -> Stored:
        try:
            async with asyncio.timeout(STORE_SECONDS):
                return await self._keep(new)
        except (UnavailableError, TimeoutError) as error:
            _log.warning("delivery %s (%s) could not be stored: %s", new.external_id, new.event, error)
            raise _unavailable("database_unavailable", "It could not be stored. Deliver it again.") from error

    def _too_large(self) -> _RefusedError:
        return _RefusedError(413, "body_too_large", f"The body has more than the {self._most:,} bytes taken.", _CLOSE)


_CLOSE = {"Connection": "close"}
"""The rest of the body is not read, so the connection cannot carry another request."""


def _unsigned() -> _RefusedError:
    detail = (
        f"{signature.HEADER} does not sign this body. The App's webhook secret and AICD_GITHUB_WEBHOOK_SECRET must be "
        "the same."
    )
    return _RefusedError(401, "bad_signature", detail, _CLOSE)


def _unavailable(code: str, detail: str) -> _RefusedError:
    return _RefusedError(503, code, detail, {"Retry-After": "10", **_CLOSE})


def webhook_route(endpoint: WebhookEndpoint) -> Route:
    """The endpoint at its path, for the routes of any Starlette or FastAPI application."""
    return Route(PATH, endpoint, methods=["POST"], include_in_schema=False)


def webhook_app(endpoint: WebhookEndpoint, lifespan: Lifespan[Starlette] | None = None) -> Starlette:
    """An application of the endpoint alone."""
    return Starlette(routes=[webhook_route(endpoint)], lifespan=lifespan)
