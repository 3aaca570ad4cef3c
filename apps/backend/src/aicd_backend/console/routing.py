"""Routes that answer with pages: let in as the API lets in, and told in words when something goes wrong."""

import inspect
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import quote, urlsplit

from fastapi import APIRouter
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from aicd_backend.access import Level, SecuredRoute, needs
from aicd_backend.console.forms import Posted
from aicd_backend.console.pages import PLAIN, error_page
from aicd_backend.middleware import log_unexpected
from aicd_backend.problems import RefusedError, headers_of, problem_of
from aicd_backend.request_id import request_id_of
from aicd_core.errors import AicdError
from aicd_core.tenancy.permissions import Permission

LOGIN = "/login"


class ConsoleRoute(SecuredRoute):
    """A route whose errors are pages. One that takes a form of somebody who is logged in has to check its token."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **given: Any) -> None:
        super().__init__(path, endpoint, **given)
        takes = {parameter.annotation for parameter in inspect.signature(endpoint).parameters.values()}
        if "POST" in (self.methods or ()) and self.wanted.of is not Level.PUBLIC and Posted not in takes:
            raise TypeError(f"{path}: a form that nobody checks; take it as a parameter `form: Posted`.")

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler behind the checks."""
        handle = super().get_route_handler()

        async def told(request: Request) -> Response:
            try:
                return await handle(request)
            except (AicdError, RefusedError, HTTPException, RequestValidationError) as error:
                return _answer(request, error)
            except Exception as error:  # noqa: BLE001 - the boundary of pages, as ErrorBoundaryMiddleware is the API's
                log_unexpected(error, request.scope)
                return _answer(request, error)

        return told


def console_router() -> APIRouter:
    """A router of pages, which are no part of the API's document."""
    return APIRouter(route_class=ConsoleRoute, include_in_schema=False, default_response_class=Response)


def sees(wanted: Permission | Level) -> dict[str, Any]:
    """Arguments of a page's decorator: what whoever looks at it, or sends its form, needs."""
    return {**needs(wanted), "response_model": None}


def _answer(request: Request, error: Exception) -> Response:
    problem = problem_of(error, request_id_of(request.scope))
    by_script = request.headers.get("HX-Request") == "true"
    if problem.status == 401:
        where = f"{LOGIN}?return_to={quote(_came_from(request), safe='')}"
        if by_script:
            return Response(status_code=401, headers={**PLAIN, "HX-Redirect": where})
        return RedirectResponse(where, 303, PLAIN)
    return error_page(request, problem, headers_of(error), whole=not by_script)


def _came_from(request: Request) -> str:
    """The page that a browser is to come back to: where it is, or for a form and a script, where those are."""
    shown = request.headers.get("HX-Current-URL") or request.headers.get("Referer", "")
    if request.method == "GET" and "HX-Request" not in request.headers:
        shown = str(request.url)
    parts = urlsplit(shown)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path or "/console"
