"""The audit log: who did what."""

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from aicd_backend.callers import Here
from aicd_backend.console.pages import page
from aicd_backend.console.routing import console_router, sees
from aicd_backend.routes.audit import list_audit
from aicd_core.db.pages import PageRequest
from aicd_core.tenancy.audit.values import AuditFilter
from aicd_core.tenancy.permissions import Permission

router = console_router()
SHOWN = 50


@router.get("/console/{org}/audit", **sees(Permission.AUDIT_READ))
async def show_audit(
    request: Request, here: Here, action: str = "", actor: str = "", target: str = "", cursor: str | None = None
) -> Response:
    asked = {"action": action.strip(), "actor": actor.strip(), "target": target.strip()}
    actions = (asked["action"],) if asked["action"] else ()
    only = AuditFilter(actions, asked["actor"] or None, None, asked["target"] or None)
    found = await list_audit(here, PageRequest(SHOWN, cursor), only)
    kept = {name: text for name, text in asked.items() if text}
    older = urlencode({**kept, "cursor": found.next_cursor}) if found.next_cursor else None
    return page(request, "audit.html", entries=found.items, older=older, asked=asked, filtered=bool(kept))
