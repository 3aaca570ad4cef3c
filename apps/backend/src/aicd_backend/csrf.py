"""What a request may do that a browser has put a cookie on by itself (docs/decisions/0024)."""

from urllib.parse import urlsplit

from starlette.requests import Request

from aicd_backend.problems import RefusedError
from aicd_backend.settings import BackendSettings

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Nothing is changed by them here, whoever sends them."""
FORGED = (
    403,
    "origin_refused",
    (
        "A request that changes something and comes with a session's cookie must come from this server or one of its "
        "front ends, and say so by Origin."
    ),
)


def refuse_forged(request: Request, settings: BackendSettings) -> None:
    """Does nothing when a request with a session's cookie was made by a page of ours.

    A cookie comes along with what any page sends; where a request comes from, no page can lie about. Every browser
    that we serve says it by Origin in whatever is no GET or HEAD (https://fetch.spec.whatwg.org/#origin-header), so
    nothing is guessed from its absence, nor from `null`, which is what a page in a sandbox says.

    Raises:
        RefusedError: `origin_refused`.
    """
    if request.method in SAFE_METHODS:
        return
    origins = request.headers.getlist("Origin")
    if len(origins) != 1 or origins[0] not in {own_origin(request, settings), *settings.origins}:
        raise RefusedError(*FORGED)


def own_origin(request: Request, settings: BackendSettings) -> str:
    """This server as browsers reach it; where no setting says so, as this request has reached it."""
    if settings.public_url is not None:
        return settings.public_url
    url = urlsplit(str(request.base_url))
    return f"{url.scheme}://{url.netloc}"
