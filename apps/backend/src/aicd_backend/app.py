"""The application: routes, and around them what holds for every route."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response

from aicd_backend.access import CLIENT
from aicd_backend.access_tokens import AccessTokens
from aicd_backend.billing.keeping import Keeper
from aicd_backend.billing.plans import Plans
from aicd_backend.billing.webhook import webhook_route
from aicd_backend.console import CONSOLE
from aicd_backend.console.problem_pages import ProblemPagesMiddleware
from aicd_backend.console_logins import ConsoleLogins
from aicd_backend.examples import add_examples
from aicd_backend.health import health_router
from aicd_backend.login.registry import Logins
from aicd_backend.middleware import (
    BodyLimitMiddleware,
    ErrorBoundaryMiddleware,
    SecurityHeadersMiddleware,
    log_unexpected,
)
from aicd_backend.past_runs import PastRuns
from aicd_backend.problems import (
    NothingLeftError,
    Problem,
    RefusedError,
    described_default,
    headers_of,
    problem_of,
    problem_response,
)
from aicd_backend.rate_limits import Counts, RateLimitMiddleware
from aicd_backend.request_id import RequestIdMiddleware, request_id_of
from aicd_backend.routes import ROUTERS
from aicd_backend.settings import BackendSettings
from aicd_backend.stores import Stores
from aicd_backend.time_limit import TimeLimitMiddleware
from aicd_cli.logs import REMEMBERED
from aicd_cli.readiness import ReadyCheck
from aicd_cli.watching import WatchingMiddleware
from aicd_core.errors import AicdError, UnavailableError
from aicd_core.orchestrator import redaction_of
from aicd_core.orchestrator.lease import end
from aicd_core.tenancy.permissions import DESCRIPTIONS

PAST_PART = 0.8
"""The part of a request's time that it waits for past commits."""
_SCHEMA_REF = "#/components/schemas/{model}"
_SECURITY = {
    "key": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key of one organization, `aicd_key_…`; a route's `x-permission` is the scope it needs.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "__Host-aicd_session",
        "description": "A person's login. What changes something must also carry the Origin of a front end.",
    },
    CLIENT: {
        "type": "oauth2",
        "description": "An access token for an API key, `aicd_acc_…`: the client's id is the key's id or prefix, its "
        "secret the key.",
        "flows": {
            "clientCredentials": {
                "tokenUrl": "/v1/oauth/token",
                "scopes": {permission.value: text for permission, text in DESCRIPTIONS.items()},
            }
        },
    },
}


class Api(FastAPI):
    """FastAPI whose description says that every error is a `Problem`, and gives an example of every answer."""

    models: Mapping[str, Any]
    """By operation, what it answers."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI 3.1 document."""
        document = super().openapi()
        _, described = models_json_schema([(Problem, "serialization")], ref_template=_SCHEMA_REF)
        components = document.setdefault("components", {})
        components.setdefault("schemas", {}).update(described["$defs"])
        components["securitySchemes"] = _SECURITY
        add_examples(document, self.models)
        return document


def create_app(stores: Stores, *, ready: ReadyCheck) -> Api:
    """The API server as an ASGI application.

    Args:
        stores: what requests reach, and the limits of this process.
        ready: what `/readyz` asks; `settings.ready_timeout` bounds it.
    """
    settings = stores.settings
    counts = Counts(settings.redis_url)
    app = _routed(
        ready,
        settings.ready_timeout,
        lifespan=partial(_whole_life, stores, counts),
        middleware=_middleware(settings, counts),
        exception_handlers={
            AicdError: _answer_error,
            NothingLeftError: _answer_nothing,
            RefusedError: _answer_error,
            HTTPException: _answer_error,
            RequestValidationError: _answer_error,
        },
    )
    app.state.stores = stores
    app.state.redaction = redaction_of(settings, os.environ, remembered=REMEMBERED)
    app.state.logins = Logins(settings)
    app.state.access_tokens = AccessTokens(settings)
    app.state.plans = Plans.load(settings.billing_plans)
    app.state.billing = None
    app.state.console_logins = ConsoleLogins(settings)
    app.state.past_runs = PastRuns(settings.request_timeout * PAST_PART)
    return app


def open_billing(app: FastAPI, keeper: Keeper | None, stores: Stores) -> None:
    """Has the routes use billing, and takes Stripe's events in, where both are configured.

    Raises:
        InvalidInputError: `weak_webhook_secret`.
    """
    app.state.billing = keeper
    endpoint = keeper.webhook(stores) if keeper else None
    if endpoint is not None:
        app.router.routes.append(webhook_route(endpoint))


def describe() -> dict[str, Any]:
    """The OpenAPI document, which no setting changes; nothing is opened for it."""
    return _routed(_never_ready, 1).openapi()


def _routed(ready: ReadyCheck, ready_timeout: float, **given: Any) -> Api:
    app = Api(
        title="AI-CD",
        version=version("aicd-backend"),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
        responses={"default": described_default()},
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
        **given,
    )
    routers = (health_router(ready, ready_timeout), *ROUTERS)
    for router in (*routers, *CONSOLE):
        app.include_router(router)
    routes = (route for router in routers for route in router.routes if isinstance(route, APIRoute))
    app.models = {route.name: route.response_model for route in routes}
    return app


async def _never_ready() -> None:
    raise UnavailableError("Nothing is served here.", code="not_ready")


@asynccontextmanager
async def _whole_life(stores: Stores, counts: Counts, app: FastAPI) -> AsyncIterator[None]:
    listening = asyncio.ensure_future(stores.feed.run())
    try:
        yield
    finally:
        await end(listening)
        await app.state.past_runs.close()
        await counts.close()


def _middleware(settings: BackendSettings, counts: Counts) -> list[Middleware]:
    """What stands around all routes, the outermost first: whatever refuses a request, its answer has every header."""
    cors = Middleware(
        CORSMiddleware,
        allow_origins=settings.origins,
        allow_credentials=True,
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "If-Match", "Idempotency-Key", "Last-Event-ID", "X-Request-Id"],
        expose_headers=[
            *(
                "ETag",
                "Idempotency-Replayed",
                "Location",
                "RateLimit",
                "RateLimit-Policy",
                "Retry-After",
                "X-Request-Id",
            )
        ],
    )
    return [
        Middleware(WatchingMiddleware),
        Middleware(RequestIdMiddleware),
        Middleware(SecurityHeadersMiddleware),
        cors,
        Middleware(ProblemPagesMiddleware),
        Middleware(ErrorBoundaryMiddleware),
        Middleware(RateLimitMiddleware, settings=settings, counts=counts),
        Middleware(TimeLimitMiddleware, limit=settings.request_timeout),
        Middleware(BodyLimitMiddleware, limit=settings.body_max_bytes),
    ]


async def _answer_error(request: Request, error: Exception) -> Response:
    problem = problem_of(error, request_id_of(request.scope))
    # An error's text may quote what failed, and with it a password of that place; or a field that was sent by mistake.
    mask = request.app.state.redaction.text
    errors = problem.errors and tuple(
        one.model_copy(update={"pointer": mask(one.pointer), "detail": mask(one.detail)}) for one in problem.errors
    )
    problem = problem.model_copy(update={"detail": mask(problem.detail), "errors": errors})
    if problem.status == 500:
        log_unexpected(error, request.scope)
    return problem_response(problem, headers_of(error))


async def _answer_nothing(_request: Request, _error: Exception) -> Response:
    return Response(status_code=204)


def _operation_id(route: APIRoute) -> str:
    return route.name
