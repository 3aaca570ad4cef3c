"""Organizations and their settings."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from fastapi import Response
from pydantic import ConfigDict, Field
from starlette.requests import Request

from aicd_backend.access import Level, needs, secured_router
from aicd_backend.bodies import Answer, Body
from aicd_backend.callers import AnyCaller, Here
from aicd_backend.etags import IfMatch, tag, tagged
from aicd_backend.founding import found
from aicd_backend.paging import PageOf
from aicd_backend.routes.me import PlaceAnswer, places_of
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.organizations import service
from aicd_core.tenancy.organizations.models import PlanApproval
from aicd_core.tenancy.organizations.values import OrganizationView, SettingsValues
from aicd_core.tenancy.permissions import Permission
from aicd_core.tenancy.triggers import RepositoryPermission

router = secured_router("organizations")
Budget = Annotated[int | None, Field(ge=0, le=service.MAX_BUDGET, description="In micro-USD; null: no limit.")]


class OrganizationAnswer(Answer):
    """An organization."""

    id: UUID
    slug: str = Field(description="Its name in URLs; it never changes.", examples=["acme"])
    name: str
    created_at: datetime

    @classmethod
    def of(cls, view: OrganizationView) -> Self:
        return cls(id=view.id, slug=view.slug, name=view.name, created_at=view.created_at)


class NewOrganizationBody(Body):
    """An organization to be made."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"slug": "acme-labs", "name": "Acme Labs"}]})

    slug: str = Field(
        pattern=f"^{service.SLUG.pattern}$",
        description="Its name in URLs, for ever: small letters, digits and hyphens, the first one no hyphen.",
    )
    name: str = Field(min_length=1, max_length=200)


class OrganizationEdit(Body):
    """What may be edited about an organization."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Acme Corporation"}]})

    name: str = Field(min_length=1, max_length=200)


class OrganizationSettings(Body):
    """What an organization decides for all its jobs."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "agent": "dummy",
                    "model": "default",
                    "job_budget_micro_usd": 5_000_000,
                    "issue_budget_micro_usd": 20_000_000,
                    "repository_budget_micro_usd": 100_000_000,
                    "monthly_budget_micro_usd": 500_000_000,
                    "max_concurrent_jobs": 5,
                    "plan_approval": "never",
                    "allowed_bots": ["renovate[bot]"],
                    "minimum_permission": "write",
                }
            ]
        }
    )

    agent: str = Field(min_length=1, max_length=100, description="The agent for jobs that name none.")
    model: str | None = Field(max_length=200, description="The model for it; null: the agent's own.")
    job_budget_micro_usd: Budget
    issue_budget_micro_usd: Budget
    repository_budget_micro_usd: Budget
    monthly_budget_micro_usd: Budget
    max_concurrent_jobs: int = Field(ge=1, le=service.MAX_CONCURRENCY)
    plan_approval: PlanApproval = Field(strict=False)
    allowed_bots: tuple[str, ...] = Field(strict=False, max_length=service.MAX_BOTS)
    minimum_permission: RepositoryPermission = Field(strict=False)

    @classmethod
    def of(cls, values: SettingsValues) -> Self:
        plain = {name: value for name, value in vars(values).items() if not name.endswith("_budget")}
        budgets = {f"{name}_micro_usd": value for name, value in vars(values).items() if name.endswith("_budget")}
        return cls(**plain, **budgets)

    def values_given(self) -> SettingsValues:
        """As the core knows them."""
        return SettingsValues(**{name.removesuffix("_micro_usd"): value for name, value in self})


@router.get("/organizations", summary="The caller's organizations", **needs(Level.AUTHENTICATED))
async def list_organizations(caller: AnyCaller) -> PageOf[PlaceAnswer]:
    return PageOf(items=await places_of(caller), next_cursor=None)


@router.post(
    "/organizations",
    status_code=201,
    summary="Make one, and be its owner",
    **needs(Level.PERSON, once=True, refuses=(400,)),
)
async def create_organization(
    request: Request, caller: AnyCaller, new: NewOrganizationBody, response: Response
) -> OrganizationAnswer:
    made = await found(caller, new.slug, new.name)
    request.state.founded = Tenant(made.id)  # where `found_once` keeps the answer
    tag(response, made.revision)
    response.headers["Location"] = f"/v1/organizations/{made.slug}"
    return OrganizationAnswer.of(made)


@router.get("/organizations/{org}", summary="One organization", **needs(Permission.ORG_READ, tagged=True))
async def get_organization(here: Here, response: Response) -> OrganizationAnswer:
    async with here.read() as session:
        found = await service.require_organization(session, here.tenant)
    return tagged(response, found, OrganizationAnswer.of)


@router.patch("/organizations/{org}", summary="Rename it", **needs(Permission.ORG_EDIT, edits=True))
async def edit_organization(
    here: Here, revision: IfMatch, edit: OrganizationEdit, response: Response
) -> OrganizationAnswer:
    async with here.write() as session:
        renamed = await service.rename(session, here.tenant, here.actor, edit.name, revision=revision)
    return tagged(response, renamed, OrganizationAnswer.of)


@router.delete(
    "/organizations/{org}", summary="Delete it; it can be restored", **needs(Permission.ORG_DELETE, edits=True)
)
async def delete_organization(here: Here, revision: IfMatch, response: Response) -> OrganizationAnswer:
    async with here.write() as session:
        deleted = await service.delete(session, here.tenant, here.actor, revision=revision, now=here.now)
    return tagged(response, deleted, OrganizationAnswer.of)


@router.get("/organizations/{org}/settings", summary="Its settings", **needs(Permission.ORG_READ, tagged=True))
async def get_settings(here: Here, response: Response) -> OrganizationSettings:
    async with here.read() as session:
        found = await service.get_settings(session, here.tenant)
    return tagged(response, found, lambda view: OrganizationSettings.of(view.values))


@router.put("/organizations/{org}/settings", summary="Replace them", **needs(Permission.ORG_EDIT, edits=True))
async def edit_settings(
    here: Here, revision: IfMatch, edit: OrganizationSettings, response: Response
) -> OrganizationSettings:
    async with here.write() as session:
        view = await service.edit_settings(session, here.tenant, here.actor, edit.values_given(), revision=revision)
    return tagged(response, view, lambda view: OrganizationSettings.of(view.values))
