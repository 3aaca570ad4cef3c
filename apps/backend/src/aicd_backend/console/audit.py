"""The audit log: who did what."""

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from aicd_backend.callers import Here, TenantCaller
from aicd_backend.console.pages import page
from aicd_backend.console.routing import console_router, sees
from aicd_backend.routes.api_keys import list_api_keys
from aicd_backend.routes.audit import list_audit
from aicd_backend.routes.members import list_members
from aicd_core.db.pages import PageRequest
from aicd_core.tenancy.audit.values import AuditFilter
from aicd_core.tenancy.permissions import Permission

router = console_router()
SHOWN = 50
NAMED = 100
"""So many of the newest members and keys are called by their names."""


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
    names = await _names(here)
    return page(request, "audit.html", entries=found.items, older=older, asked=asked, filtered=bool(kept), names=names)


async def _names(here: TenantCaller) -> dict[str, str]:
    """Who the ids stand for, of those that are still there and that the caller may see."""
    names: dict[str, str] = {}
    if Permission.MEMBERS_READ in here.powers:
        for member in (await list_members(here, PageRequest(NAMED))).items:
            names[str(member.user_id)] = names[str(member.id)] = member.name or member.email
    if Permission.KEYS_EDIT in here.powers:
        names |= {str(key.id): f"“{key.name}”" for key in (await list_api_keys(here, PageRequest(NAMED))).items}
    return names
