"""Where Stripe delivers its events: verified, stored once, answered; handled later, from the store."""

import asyncio
import logging
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from aicd_backend.billing.events.repository import insert_event
from aicd_backend.billing.events.values import NewEvent, parse
from aicd_backend.billing.signature import HEADER, Secrets
from aicd_backend.problems import make_problem, problem_response
from aicd_backend.request_id import request_id_of
from aicd_core.db.database import SystemDatabase
from aicd_core.errors import InvalidInputError, UnavailableError
from aicd_core.usage.billing.models import BillingMode
from aicd_github.webhooks.reading import BodyReader, GoneError, OverloadedError, SlowError, TooLargeError

PATH = "/webhooks/stripe"
MIB = 1024 * 1024
BODY_MOST, MEMORY = MIB, 32 * MIB
STORE_SECONDS = 8.0
_CLOSE = {"Connection": "close"}
"""The rest of the body is not read, so the connection cannot carry another request."""
log = logging.getLogger(__name__)


class _RefusedError(Exception):
    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail


class StripeWebhook:
    """The endpoint, as an ASGI application.

    Args:
        announce: called when there is something to handle.
    """

    def __init__(
        self, secrets: Secrets, mode: BillingMode, system: SystemDatabase, announce: Callable[[], None]
    ) -> None:
        self._secrets = secrets
        self._mode = mode
        self._system = system
        self._announce = announce
        self._reader = BodyReader(BODY_MOST, MEMORY)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._answer(Headers(scope=scope), receive)
        except _RefusedError as refusal:
            problem = make_problem(refusal.status, request_id_of(scope), code=refusal.code, detail=refusal.detail)
            response = problem_response(problem, _CLOSE)
        except GoneError:
            return
        await response(scope, receive, send)

    async def _answer(self, headers: Headers, receive: Receive) -> Response:
        signed = headers.getlist(HEADER)
        if len(signed) != 1:
            raise _unsigned()
        try:
            async with self._reader.read(receive) as body:
                if not self._secrets.signed(body, signed[0]):
                    raise _unsigned()
                new = self._event(body)
                stored = await self._store(new)
        except TooLargeError as error:
            raise _RefusedError(413, "body_too_large", f"An event has at most {BODY_MOST:,} bytes.") from error
        except OverloadedError as error:
            raise _RefusedError(503, "overloaded", "Too much is coming in at once. Deliver it again.") from error
        except SlowError as error:
            raise _RefusedError(408, "slow_body", "The body did not come in time.") from error
        if stored:
            self._announce()
        return JSONResponse({"status": "stored" if stored else "repeated", "event": new.external_id})

    def _event(self, body: bytes) -> NewEvent:
        try:
            new = parse(body)
        except InvalidInputError as error:
            raise _RefusedError(400, error.code, error.message) from error
        if new.mode is not self._mode:
            raise _RefusedError(
                400,
                "wrong_mode",
                f"This is an event of Stripe's {new.mode.value} mode, and this installation is of the "
                f"{self._mode.value} mode (AICD_STRIPE_MODE). Register the endpoint in that one.",
            )
        return new

    async def _store(self, new: NewEvent) -> bool:
        try:
            async with asyncio.timeout(STORE_SECONDS), self._system.write() as session:
                return await insert_event(session, new)
        except (UnavailableError, TimeoutError) as error:
            log.warning("billing: the event %s could not be stored: %s", new.external_id, error)
            raise _RefusedError(503, "database_unavailable", "It could not be stored. Deliver it again.") from error


def _unsigned() -> _RefusedError:
    detail = f"{HEADER} does not sign this body just now. Is its secret in AICD_STRIPE_WEBHOOK_SECRETS?"
    return _RefusedError(401, "bad_signature", detail)


def webhook_route(endpoint: StripeWebhook) -> Route:
    """The endpoint at its path."""
    return Route(PATH, endpoint, methods=["POST"], include_in_schema=False)
