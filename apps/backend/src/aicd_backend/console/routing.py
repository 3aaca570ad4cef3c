"""Routes that answer with pages, let in as the API lets in."""

import inspect
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from aicd_backend.access import Level, SecuredRoute, needs
from aicd_backend.console.forms import Posted
from aicd_core.tenancy.permissions import Permission

LOGIN = "/login"
PORTAL = "/docs"


class ConsoleRoute(SecuredRoute):
    """A route that checks the token of each form that somebody who is logged in sends, or does not start."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **given: Any) -> None:
        super().__init__(path, endpoint, **given)
        takes = {parameter.annotation for parameter in inspect.signature(endpoint).parameters.values()}
        if "POST" in (self.methods or ()) and self.wanted.of is not Level.PUBLIC and Posted not in takes:
            raise TypeError(f"{path}: a form that nobody checks; take it as a parameter `form: Posted`.")


def console_router() -> APIRouter:
    """A router of pages, which are no part of the API's document."""
    return APIRouter(route_class=ConsoleRoute, include_in_schema=False, default_response_class=Response)


def sees(wanted: Permission | Level) -> dict[str, Any]:
    """Arguments of a page's decorator: what whoever looks at it, or sends its form, needs."""
    return {**needs(wanted), "response_model": None}
