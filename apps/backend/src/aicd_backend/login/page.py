"""What a person sees whose login did not happen: the problem, as a page where a browser asks for one."""

from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from aicd_backend.problems import headers_of, problem_of, problem_response
from aicd_backend.request_id import request_id_of

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Not logged in</title></head>
<body><h1>You are not logged in</h1><p>{detail}</p>
<p><a href="{again}">Log in again</a></p><p><small>{code}, request {request_id}</small></p></body></html>
"""


def tell_failed(request: Request, error: Exception, again: str) -> Response:
    """The answer to a login that failed.

    Args:
        again: where a login is begun.
    """
    problem = problem_of(error, request_id_of(request.scope))
    if "text/html" not in request.headers.get("Accept", ""):
        return problem_response(problem, headers_of(error))
    shown = {"detail": problem.detail, "again": again, "code": problem.code, "request_id": problem.request_id}
    page = _PAGE.format(**{name: escape(text) for name, text in shown.items()})
    return HTMLResponse(page, problem.status, headers_of(error))
