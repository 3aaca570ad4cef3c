"""Errors in words: whoever refuses a request of the console's, a route or what stands before all routes."""

from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aicd_backend.console.pages import PLAIN, page
from aicd_backend.console.routing import LOGIN, PORTAL
from aicd_backend.problems import MEDIA_TYPE, Problem, make_problem

PLACES = ("/console", LOGIN, "/logout", PORTAL)
"""What all paths of pages begin with, but `/`."""
OF_THE_PROBLEM = frozenset({"content-length", "content-type", "www-authenticate"})
"""Headers that say nothing of a page."""


class ProblemPagesMiddleware:
    """Makes a page of each problem with which a request of the console's is answered, and leads nobody to the login."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not (scope["path"] == "/" or scope["path"].startswith(PLACES)):
            await self._app(scope, receive, send)
            return
        headers: Headers | None = None
        body = bytearray()

        async def send_told(message: Message) -> None:
            nonlocal headers
            if message["type"] == "http.response.start":
                given = Headers(raw=message["headers"])
                if given.get("Content-Type") == MEDIA_TYPE:
                    headers = given
            if headers is None:
                await send(message)
                return
            body.extend(message.get("body", b""))
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                answer = _told(Request(scope), _of_a_page(Problem.model_validate_json(bytes(body))), headers)
                await answer(scope, receive, send)

        await self._app(scope, receive, send_told)


def _of_a_page(problem: Problem) -> Problem:
    """An address that can be none of ours, such as one with half an id, is no page."""
    if problem.errors and all(each.source == "path" for each in problem.errors):
        return make_problem(404, problem.request_id)
    return problem


def _told(request: Request, problem: Problem, headers: Mapping[str, str]) -> Response:
    answer = _answer(request, problem)
    answer.headers.update({name: text for name, text in headers.items() if name not in OF_THE_PROBLEM})
    return answer


def _answer(request: Request, problem: Problem) -> Response:
    by_script = request.headers.get("HX-Request") == "true"
    if problem.status != 401:
        # A script puts the words alone where people see them.
        came = _came_from(request)
        back = came if request.method == "POST" and came.startswith("/console/") else None
        return page(request, "notice.html" if by_script else "error.html", problem.status, problem=problem, back=back)
    where = f"{LOGIN}?return_to={quote(_came_from(request), safe='')}"
    if by_script:
        return Response(status_code=401, headers={**PLAIN, "HX-Redirect": where})
    return RedirectResponse(where, 303, PLAIN)


def _came_from(request: Request) -> str:
    """The page that a browser is to come back to: where it is, or for a form and a script, where those are."""
    shown = request.headers.get("HX-Current-URL") or request.headers.get("Referer", "")
    if request.method == "GET" and "HX-Request" not in request.headers:
        shown = str(request.url)
    try:
        parts = urlsplit(shown)
    except ValueError:  # no browser's
        return "/console"
    return f"{parts.path}?{parts.query}" if parts.query else parts.path or "/console"
