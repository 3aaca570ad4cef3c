"""What a route asks of whoever calls it, declared on the route as data, and shown in the OpenAPI document.

Conventions, for everybody who writes a route:

- What belongs to an organization is under `/v1/organizations/{org}/…`, where `org` is its slug, which never changes.
  So a URL says which organization is meant, for a person with several as for an API key, which has one.
- An organization that the caller has no place in, and a thing of another organization, are 404, never 403: 403 says
  that the caller may see that the thing is there.
- A router is `secured_router(tag)`, and each of its routes says `**needs(Permission.X)`, or a `Level` where the
  organization does not matter. A route that says nothing is an error when the program starts.
- The check comes before the body is read, so nobody without a right learns what a body must look like from errors.
- Lists take `PageQuery` and answer `PageOf`. `sort` names a field, with `-` before it for descending; a filter is a
  query parameter with the field's name, and repeated it means any of the values.
- Errors that only this route has: `needs(…, refuses=(409,))`.
- POST that makes something: `needs(…, once=True)`, so that `Idempotency-Key` counts; where no organization is named, it
  founds one (`founding.found`). Edits: `needs(…, edits=True)` with
  `IfMatch`; what may be edited is read with `needs(…, tagged=True)` and `tag(response, revision)`.
"""

from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from aicd_backend.callers import Caller, TenantCaller, identify
from aicd_backend.once import HEADER as KEY_HEADER
from aicd_backend.once import answer_once, found_once
from aicd_backend.problems import RefusedError, problem_answers
from aicd_core.tenancy.permissions import Permission
from aicd_core.tenancy.principals.values import KeyPrincipal

PERMISSION = "x-permission"
ONCE = "x-idempotent"
ORG = "org"
CLIENT = "client"
"""The document's name for access tokens by OAuth 2's client credentials."""
_ONCE_SAYS = (
    "A name of your choice for this request: sent again with it, the request is answered as before and not carried out "
    "again."
)


class Level(StrEnum):
    """What a route asks for where no organization's permission is meant."""

    PUBLIC = "public"
    AUTHENTICATED = "authenticated"
    PERSON = "person"


@dataclass(frozen=True)
class Wanted:
    """What a route declared."""

    of: Permission | Level
    once: bool


def needs(
    wanted: Permission | Level,
    *,
    once: bool = False,
    edits: bool = False,
    tagged: bool = False,
    gone: bool = False,
    refuses: Iterable[int] = (),
) -> dict[str, Any]:
    """Arguments of a route's decorator that declare what a caller needs.

    Args:
        wanted: a permission in the organization that the path names, or how well the caller must be known.
        once: `Idempotency-Key` is taken.
        edits: `If-Match` is asked for.
        tagged: the answer has an `ETag`.
        gone: an edit after which nothing is left to tag.
        refuses: statuses of errors of the route's own, beyond those of all routes of its kind.
    """
    extra: dict[str, Any] = {PERMISSION: wanted.value, "security": _security(wanted)}
    statuses = [] if wanted is Level.PUBLIC else [401, 403]
    statuses += [404] if isinstance(wanted, Permission) else []
    parameters = []
    if once:
        extra[ONCE] = True
        parameters.append(_header(KEY_HEADER, _ONCE_SAYS, required=False, example="01a2156b-39a4-75d0"))
        statuses.append(409)
    if edits:
        parameters.append(_header("If-Match", "The ETag of what you have read and want to change.", example='"1"'))
        statuses += [409, 412, 428]
    if parameters:
        extra["parameters"] = parameters
    responses: dict[int | str, Any] = problem_answers([*statuses, *refuses])
    if (edits or tagged) and not gone:
        responses[200] = {"headers": {"ETag": {"description": "For `If-Match`.", "schema": {"type": "string"}}}}
    return {"openapi_extra": extra, "responses": responses}


def secured_router(tag: str) -> APIRouter:
    """A router under `/v1` whose every route declares what a caller needs."""
    return APIRouter(prefix="/v1", tags=[tag], route_class=SecuredRoute)


def wanted_by(extra: dict[str, Any] | None) -> Wanted:
    """What a route's `openapi_extra` declares.

    Raises:
        TypeError: nothing.
    """
    declared = (extra or {}).get(PERMISSION)
    if declared is None:
        raise TypeError("A route declares no permission: give its decorator **needs(…).")
    known: Permission | Level = Level(declared) if declared in set(Level) else Permission(declared)
    return Wanted(known, bool((extra or {}).get(ONCE)))


class SecuredRoute(APIRoute):
    """A route that lets in only whom it declares, before it reads the body."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **given: Any) -> None:
        try:
            self.wanted = wanted_by(given.get("openapi_extra"))
        except TypeError as error:
            raise TypeError(f"{path}: {error}") from error
        if isinstance(self.wanted.of, Permission) and f"{{{ORG}}}" not in path:
            raise TypeError(f"{path}: a permission is had in an organization, and the path names none.")
        super().__init__(path, endpoint, **given)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler behind the check."""
        handle, wanted = super().get_route_handler(), self.wanted
        if wanted.of is Level.PUBLIC:
            return handle

        async def guarded(request: Request) -> Response:
            caller = await identify(request, request.path_params.get(ORG))
            require(caller, wanted.of)
            request.state.caller = caller
            if not wanted.once or KEY_HEADER not in request.headers:
                return await handle(request)
            if isinstance(caller, TenantCaller):
                return await answer_once(request, caller, handle)
            return await found_once(request, caller, handle)

        return guarded


def require(caller: Caller, wanted: Permission | Level) -> None:
    """Does nothing when the caller may.

    Raises:
        RefusedError: 403.
        ForbiddenError: `forbidden`: 403, with the role or the scope that is wanting.
    """
    if isinstance(wanted, Permission):
        assert isinstance(caller, TenantCaller)  # SecuredRoute has seen to it
        caller.place.check(wanted).require()
    elif wanted is Level.PERSON and isinstance(caller.principal, KeyPrincipal):
        raise RefusedError(403, "person_needed", "Only a person who has logged in may do this, and no API key.")


def _security(wanted: Permission | Level) -> list[dict[str, list[str]]]:
    if wanted is Level.PUBLIC:
        return []
    roles = [wanted.value] if isinstance(wanted, Permission) else []
    session: dict[str, list[str]] = {"session": []}
    return [session] if wanted is Level.PERSON else [session, {"key": roles}, {CLIENT: roles}]


def _header(name: str, description: str, *, example: str, required: bool = True) -> dict[str, Any]:
    schema = {"type": "string"}
    return {
        "in": "header",
        "name": name,
        "required": required,
        "description": description,
        "schema": schema,
        "example": example,
    }
