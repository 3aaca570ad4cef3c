"""Addresses below the console's that lead nowhere, told as a page."""

from starlette.responses import Response

from aicd_backend.access import Level
from aicd_backend.console.routing import console_router, sees
from aicd_backend.problems import RefusedError

router = console_router()


@router.get("/console/{rest:path}", **sees(Level.PUBLIC))
async def get_nowhere(rest: str) -> Response:
    raise RefusedError(404, "not_found", f"There is no page /console/{rest[:200]}.")
