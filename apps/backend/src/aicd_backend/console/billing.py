"""What an organization pays, and what it is warned of."""

from starlette.requests import Request
from starlette.responses import Response

from aicd_backend.callers import Here
from aicd_backend.console.pages import page
from aicd_backend.console.routing import console_router, sees
from aicd_backend.routes.billing import CapsAnswer, KeeperHere, PlansHere, get_billing
from aicd_core.tenancy.permissions import Permission

router = console_router()
PAGE = "/console/{org}/billing"


@router.get(PAGE, **sees(Permission.BILLING_READ))
async def show_billing(request: Request, here: Here, plans: PlansHere, keeper: KeeperHere) -> Response:
    billing = await get_billing(here, plans, keeper)
    return page(request, "billing.html", billing=billing, warnings=warnings_of(billing.caps))


@router.get(f"{PAGE}/notices", **sees(Permission.BILLING_READ))
async def show_notices(request: Request, here: Here, plans: PlansHere, keeper: KeeperHere) -> Response:
    """What stands above every page of whoever sees billing: why no work is done, and how far caps are used up."""
    billing = await get_billing(here, plans, keeper)
    return page(request, "billing_notices.html", billing=billing, warnings=warnings_of(billing.caps))


def warnings_of(caps: CapsAnswer) -> list[tuple[str, int, int]]:
    """Each cap of which a part is spent that is warned of: its name, the percent, the cap in micro-USD."""
    found = (
        ("soft", caps.soft_reached_percent, caps.soft_micro_usd),
        ("hard", caps.hard_reached_percent, caps.hard_micro_usd),
    )
    return [(name, percent, most) for name, percent, most in found if percent and most is not None]
