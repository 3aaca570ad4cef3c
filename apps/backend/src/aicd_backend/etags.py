"""`ETag` and `If-Match` on what has a revision: an edit names what it has read, and never overwrites blindly."""

import re
from collections.abc import Callable
from typing import Annotated, Protocol, TypeVar

from fastapi import Depends
from starlette.requests import Request
from starlette.responses import Response

from aicd_backend.problems import RefusedError

_OURS = re.compile(r'"(0|[1-9][0-9]{0,9})"')

MOST = 2**31 - 1
"""What a revision's column holds."""


def tag(response: Response, revision: int) -> None:
    """Puts the ETag of a revision on an answer."""
    response.headers["ETag"] = f'"{revision}"'


def revision_of(answer: Response) -> int:
    """The revision whose ETag is on an answer."""
    return int(answer.headers["ETag"].strip('"'))


class Revised(Protocol):
    """What has a revision."""

    @property
    def revision(self) -> int: ...


ViewT = TypeVar("ViewT", bound=Revised)
ShownT = TypeVar("ShownT")


def tagged(response: Response, view: ViewT, show: Callable[[ViewT], ShownT]) -> ShownT:
    """A thing as it is answered, with its ETag on the answer."""
    tag(response, view.revision)
    return show(view)


async def _revision(request: Request) -> int:
    given = request.headers.getlist("If-Match")
    if not given or given == ["*"]:
        raise RefusedError(
            428,
            "precondition_required",
            "Send the ETag of what you have read as If-Match, so that nobody's change in between is lost.",
        )
    found = _OURS.fullmatch(given[0])
    if found is None or len(given) > 1 or int(found[1]) > MOST:
        raise RefusedError(412, "stale_revision", "That If-Match is no ETag of this thing. Read it again for its ETag.")
    return int(found[1])


IfMatch = Annotated[int, Depends(_revision)]
"""Parameter of a route that edits: the revision that the caller has read. Raises `RefusedError`: 428 or 412."""
