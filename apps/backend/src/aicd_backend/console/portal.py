"""The developer portal: files that `make portal` has built, for everybody (docs/decisions/0034)."""

import re
import sys
from pathlib import Path
from stat import S_ISDIR
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from aicd_backend.access import Level
from aicd_backend.console.pages import PLAIN
from aicd_backend.console.routing import PORTAL, console_router, sees
from aicd_backend.problems import RefusedError
from aicd_backend.stores import Stores

router = console_router()
BUILT = Path(sys.prefix) / "share" / "aicd" / "portal"
"""Where `make portal` puts it."""
LOOKS = ["GET", "HEAD"]
HASHED = re.compile(r"\.[0-9a-f]{8}\.min\.(?:js|css)$")
"""Files whose names change with their content."""
SEARCH_STYLE = "'sha256-NwSx/R2V/U4jnW0Tq5pQ53Y/rzPVJ4dqE7D6UTA/J1k='"
"""The generator's search puts this one style into the page; `make test-browser` notices when it has another."""
# The generator's icons stand in its stylesheets.
POLICY = (
    PLAIN["Content-Security-Policy"]
    .replace("style-src 'self'", f"style-src 'self' {SEARCH_STYLE}")
    .replace("img-src 'self'", "img-src 'self' data:")
)


@router.api_route(PORTAL, methods=LOOKS, **sees(Level.PUBLIC))
async def get_portal() -> Response:
    return RedirectResponse(f"{PORTAL}/", 308, PLAIN)


@router.api_route(f"{PORTAL}/{{path:path}}", methods=LOOKS, **sees(Level.PUBLIC))
async def get_portal_file(request: Request, path: str) -> Response:
    stores: Stores = request.app.state.stores
    folder = stores.settings.portal or BUILT
    if not folder.is_dir():
        raise RefusedError(404, "not_found", "The documentation was not built here. On this server: make portal.")
    files = StaticFiles(directory=folder)
    page = path == "" or path.endswith("/")
    try:
        response = await files.get_response(f"{path}index.html" if page else path, request.scope)
    except HTTPException as error:
        if error.status_code == 404 and not page and _is_folder(files, path):
            return RedirectResponse(f"{PORTAL}/{quote(path)}/", 308, PLAIN)
        raise
    kept = "public, max-age=31536000, immutable" if HASHED.search(path) else "no-cache"
    response.headers.update({**PLAIN, "Content-Security-Policy": POLICY, "Cache-Control": kept})
    return response


def _is_folder(files: StaticFiles, path: str) -> bool:
    try:
        _, found = files.lookup_path(path)
    except (OSError, ValueError):  # too long for a file's name, or with a NUL
        return False
    return found is not None and S_ISDIR(found.st_mode)
