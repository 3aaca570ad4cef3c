"""Pages: templates filled in, and the headers that every page has."""

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from aicd_backend.callers import Caller, TenantCaller
from aicd_backend.console import words
from aicd_backend.console.forms import TOKEN, token_of
from aicd_backend.problems import Problem, RefusedError, problem_of
from aicd_backend.request_id import request_id_of
from aicd_core.errors import AicdError
from aicd_core.tenancy.permissions import Permission, Role
from aicd_core.tenancy.principals.values import KeyPrincipal

PLAIN: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    # With `no-referrer` a browser sends `Origin: null` with a form (https://fetch.spec.whatwg.org/#append-a-request-origin-header).
    "Referrer-Policy": "same-origin",
    "Vary": "HX-Request",
}
"""Of every page: its own files and nothing else, nothing inline."""

NAVIGATION = (
    ("jobs", "Jobs", Permission.JOBS_READ),
    ("repositories", "Repositories", Permission.REPOSITORIES_READ),
    ("policy", "Policy", Permission.POLICIES_READ),
    ("usage", "Usage", Permission.USAGE_READ),
    ("billing", "Billing", Permission.BILLING_READ),
    ("members", "Members", Permission.MEMBERS_READ),
    ("keys", "API keys", Permission.KEYS_EDIT),
    ("audit", "Audit log", Permission.AUDIT_READ),
)
"""The sections, and what somebody needs for each; others are not shown."""

DONE = {
    "cancelled": "The job was cancelled.",
    "approved": "The plan was approved. Coding begins.",
    "sent_back": "The plan goes back to the planner with your comment.",
    "resumed": "The limits were raised, and the job goes on.",
    "created": "The job was made. A worker takes it up.",
    "retried": "This is a new job of the same issue.",
    "connected": "The repository is connected.",
    "saved": "Saved.",
    "published": "The policy was published. It counts from the next check on.",
    "revoked": "Revoked.",
    "removed": "The member was taken out.",
    "logged_out": "You have logged out.",
}
"""What a page says once a form has done its work; nobody else's words are shown there."""


@cache
def templates() -> Environment:
    """The templates, with what they may call."""
    environment = Environment(
        loader=PackageLoader("aicd_backend.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(words.FILTERS)
    environment.globals.update(words.GLOBALS, P=Permission, csrf_field=TOKEN)
    return environment


def page(request: Request, template: str, status: int = 200, **given: Any) -> Response:
    """A template as an answer."""
    text = templates().get_template(template).render(**_around(request), **given)
    return HTMLResponse(text, status, PLAIN)


def form_page(request: Request, template: str, fault: Problem | None, **given: Any) -> Response:
    """A page with a form; `fault` is why what it was sent with was refused."""
    return page(request, template, fault.status if fault else 200, fault=fault, **given)


def refused(request: Request, error: AicdError | RefusedError) -> Problem:
    """What a page says beside its form of why it was refused; raises what is our own fault."""
    problem = problem_of(error, request_id_of(request.scope))
    if problem.status == 500:
        raise error
    return problem


def at(here: TenantCaller, *parts: object) -> str:
    """The address of a page of the organization."""
    return "/".join(("/console", here.place.slug, *map(str, parts)))


def sections_of(powers: Collection[Permission]) -> list[tuple[str, str]]:
    """Path and name of the sections that somebody may see."""
    return [(path, label) for path, label, wanted in NAVIGATION if wanted in powers]


def go(path: str, done: str | None = None) -> Response:
    """Leads the browser on after a form."""
    return RedirectResponse(f"{path}?{urlencode({'done': done})}" if done else path, 303, PLAIN)


def _around(request: Request) -> dict[str, Any]:
    """What the frame of every page shows."""
    caller: Caller | None = getattr(request.state, "caller", None)
    here = caller if isinstance(caller, TenantCaller) else None
    powers = here.powers if here else frozenset[Permission]()
    return {
        "caller": caller,
        "who": _who(caller, here),
        "token": token_of(caller.credential) if caller else "",
        "org": here.place.slug if here else None,
        "base": at(here) if here else "",
        "powers": powers,
        "sections": sections_of(powers),
        "path": request.url.path,
        "query": request.url.query,
        "now": caller.now if caller else None,
        "done": DONE.get(request.query_params.get("done", "")),
    }


def _who(caller: Caller | None, here: TenantCaller | None) -> str:
    """As what somebody is here."""
    if caller is not None and isinstance(caller.principal, KeyPrincipal):
        return "API key"
    role = here.place.grant if here else None
    return f"Logged in, {role.value}" if isinstance(role, Role) else "Logged in"
