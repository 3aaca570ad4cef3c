"""The audit log: who did what, newest first."""

from datetime import datetime
from typing import Annotated, Any, Self

from fastapi import Depends, Query
from pydantic import Field

from aicd_backend.access import needs, secured_router
from aicd_backend.bodies import Answer
from aicd_backend.callers import Here
from aicd_backend.paging import PageOf, PageQuery, page_of
from aicd_core.tenancy.audit.models import ActorKind
from aicd_core.tenancy.audit.service import list_entries
from aicd_core.tenancy.audit.values import AuditFilter, AuditView
from aicd_core.tenancy.permissions import Permission

router = secured_router("audit")


class AuditAnswer(Answer):
    """One act."""

    id: int
    actor_kind: ActorKind
    actor_id: str = Field(description="A user's or key's id, or the name of a part of the program.")
    action: str = Field(examples=["api_key.created"])
    target_kind: str = Field(examples=["api_key"])
    target_id: str
    detail: dict[str, Any]
    created_at: datetime

    @classmethod
    def of(cls, view: AuditView) -> Self:
        shown = {name: value for name, value in vars(view).items() if name != "actor"}
        return cls(actor_kind=view.actor.kind, actor_id=view.actor.id, **shown)


async def _filter(
    action: Annotated[list[str] | None, Query(max_length=20, description="Any of these.")] = None,
    actor_id: Annotated[str | None, Query(max_length=200)] = None,
    target_kind: Annotated[str | None, Query(max_length=200)] = None,
    target_id: Annotated[str | None, Query(max_length=200)] = None,
) -> AuditFilter:
    return AuditFilter(tuple(action or ()), actor_id, target_kind, target_id)


@router.get("/organizations/{org}/audit", summary="Who did what, newest first", **needs(Permission.AUDIT_READ))
async def list_audit(
    here: Here, page: PageQuery, only: Annotated[AuditFilter, Depends(_filter)]
) -> PageOf[AuditAnswer]:
    async with here.read() as session:
        return page_of(await list_entries(session, here.tenant, page, only), AuditAnswer.of)
