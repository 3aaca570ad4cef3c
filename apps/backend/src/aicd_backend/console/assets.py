"""The console's own files: one stylesheet, our script, and htmx (https://htmx.org, 2.0.11, as npm has it)."""

from functools import cache
from importlib.resources import files

from starlette.responses import Response

from aicd_backend.access import Level
from aicd_backend.console.routing import console_router, sees
from aicd_backend.problems import RefusedError

router = console_router()
TYPES = {
    "console.css": "text/css; charset=utf-8",
    "console.js": "text/javascript; charset=utf-8",
    "htmx-2.0.11.min.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
"""All of them."""


@cache
def _read(name: str) -> bytes:
    return (files("aicd_backend.console") / "static" / name).read_bytes()


@router.get("/console-assets/{name}", **sees(Level.PUBLIC))
async def get_asset(name: str) -> Response:
    if name not in TYPES:
        raise RefusedError(404, "not_found", "There is no such file.")
    # Asked for again with every page: they are small, and an upgrade is seen at once.
    return Response(_read(name), media_type=TYPES[name], headers={"Cache-Control": "private, max-age=300"})
