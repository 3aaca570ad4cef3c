"""Repositories that jobs may run on, and the code host's installations that let us in."""

import re
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from fastapi import Query, Response
from pydantic import ConfigDict, Field

from aicd_backend.access import needs, secured_router
from aicd_backend.bodies import Answer, Body
from aicd_backend.callers import Here
from aicd_backend.etags import IfMatch, tagged
from aicd_backend.paging import PageOf, PageQuery, page_of
from aicd_backend.problems import RefusedError
from aicd_backend.routes.organizations import Budget
from aicd_core.ids import InstallationId, RepositoryId
from aicd_core.tenancy.installations.service import disconnect, list_installations, require_installation
from aicd_core.tenancy.installations.values import InstallationView
from aicd_core.tenancy.permissions import Permission
from aicd_core.tenancy.repositories import service
from aicd_core.tenancy.repositories.values import RepositoryView

router = secured_router("repositories")
REPOSITORIES = "/organizations/{org}/repositories"
INSTALLATIONS = "/organizations/{org}/installations"
INSTALLATION = f"{INSTALLATIONS}/{{installation_id}}"
REPOSITORY = f"{REPOSITORIES}/{{repository_id}}"
OptionalId = Annotated[UUID | None, Field(strict=False, description="An installation of the App; null: none.")]


class RepositoryAnswer(Answer):
    """A repository."""

    id: UUID
    source: str = Field(examples=["https://github.com/acme/shop"])
    installation_id: UUID | None
    enabled: bool = Field(description="Whether new jobs may run on it.")
    issue_budget_micro_usd: int | None
    monthly_budget_micro_usd: int | None
    created_at: datetime
    disconnected_at: datetime | None

    @classmethod
    def of(cls, view: RepositoryView) -> Self:
        return cls(
            id=view.id,
            source=view.source,
            installation_id=view.installation_id,
            enabled=view.enabled,
            issue_budget_micro_usd=view.issue_budget,
            monthly_budget_micro_usd=view.monthly_budget,
            created_at=view.created_at,
            disconnected_at=view.disconnected_at,
        )


class NewRepositoryBody(Body):
    """A repository to connect, by its clone URL."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"source": "https://github.com/acme/shop"}]})

    source: str = Field(min_length=1, max_length=service.SOURCE_MOST)
    installation_id: OptionalId = None


_RELATIVE = re.compile(r"(?!/)[^:]*\Z")
"""A path, since a URL and git's `host:path` have a colon, that does not begin at the root."""


class RepositoryEdit(Body):
    """All that can be configured; what is left out is taken away."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"enabled": True, "monthly_budget_micro_usd": 50_000_000}]}
    )

    enabled: bool
    installation_id: OptionalId = None
    issue_budget_micro_usd: Budget = None
    monthly_budget_micro_usd: Budget = None


class InstallationAnswer(Answer):
    """An installation of the App on a code host."""

    id: UUID
    host: str = Field(examples=["https://api.github.com"])
    external_id: int = Field(description="The host's number of it.")
    account: str = Field(description="Whose it is there.")
    suspended_at: datetime | None
    removed_at: datetime | None

    @classmethod
    def of(cls, view: InstallationView) -> Self:
        hidden = {"org_id", "reported_at"}
        return cls(**{name: value for name, value in vars(view).items() if name not in hidden})


@router.get(REPOSITORIES, summary="Repositories, newest first", **needs(Permission.REPOSITORIES_READ))
async def list_repositories(
    here: Here,
    page: PageQuery,
    disconnected: Annotated[bool, Query(description="Those that are not connected any more.")] = False,
) -> PageOf[RepositoryAnswer]:
    async with here.read() as session:
        found = await service.list_repositories(session, here.tenant, page, disconnected=disconnected)
    return page_of(found, RepositoryAnswer.of)


@router.post(REPOSITORIES, status_code=201, summary="Connect one", **needs(Permission.REPOSITORIES_EDIT, once=True))
async def connect_repository(here: Here, new: NewRepositoryBody) -> RepositoryAnswer:
    if not new.source.startswith("https://") and not here.stores.settings.local_repositories:
        raise RefusedError(
            400,
            "bad_source",
            "Name the repository by its https:// clone URL. Paths on the server's machines are for servers that belong "
            "to one organization: their operator may allow them with AICD_LOCAL_REPOSITORIES.",
        )
    if _RELATIVE.match(new.source):
        raise RefusedError(
            400,
            "bad_source",
            "This path would be another one on each machine and for each account. Name the repository by its whole "
            "path, from / on.",
        )
    installation = None if new.installation_id is None else InstallationId(new.installation_id)
    async with here.write() as session:
        return RepositoryAnswer.of(
            await service.connect(session, here.tenant, here.actor, new.source, installation_id=installation)
        )


@router.get(REPOSITORY, summary="One repository", **needs(Permission.REPOSITORIES_READ, tagged=True))
async def get_repository(here: Here, repository_id: UUID, response: Response) -> RepositoryAnswer:
    async with here.read() as session:
        found = await service.require_repository(session, here.tenant, RepositoryId(repository_id))
    return tagged(response, found, RepositoryAnswer.of)


@router.put(REPOSITORY, summary="Configure it", **needs(Permission.REPOSITORIES_EDIT, edits=True))
async def edit_repository(
    here: Here, repository_id: UUID, revision: IfMatch, edit: RepositoryEdit, response: Response
) -> RepositoryAnswer:
    which = (here.tenant, here.actor, RepositoryId(repository_id))
    installation = None if edit.installation_id is None else InstallationId(edit.installation_id)
    async with here.write() as session:
        done = await service.configure(
            session, *which, revision=revision, enabled=edit.enabled, installation_id=installation
        )
        done = await service.limit(
            *(session, *which),
            revision=done.revision,
            issue_budget=edit.issue_budget_micro_usd,
            monthly_budget=edit.monthly_budget_micro_usd,
        )
    return tagged(response, done, RepositoryAnswer.of)


@router.delete(REPOSITORY, summary="Take it out of use", **needs(Permission.REPOSITORIES_EDIT, edits=True))
async def disconnect_repository(
    here: Here, repository_id: UUID, revision: IfMatch, response: Response
) -> RepositoryAnswer:
    which = (here.tenant, here.actor, RepositoryId(repository_id))
    async with here.write() as session:
        done = await service.disconnect(session, *which, revision=revision, now=here.now)
    return tagged(response, done, RepositoryAnswer.of)


@router.post(
    f"{REPOSITORY}/reconnect", summary="Take it into use again", **needs(Permission.REPOSITORIES_EDIT, edits=True)
)
async def reconnect_repository(
    here: Here, repository_id: UUID, revision: IfMatch, response: Response
) -> RepositoryAnswer:
    async with here.write() as session:
        done = await service.reconnect(session, here.tenant, here.actor, RepositoryId(repository_id), revision=revision)
    return tagged(response, done, RepositoryAnswer.of)


@router.get(
    INSTALLATIONS,
    summary="The App's installations, newest first",
    **needs(Permission.REPOSITORIES_READ),
)
async def get_installations(here: Here, page: PageQuery) -> PageOf[InstallationAnswer]:
    async with here.read() as session:
        return page_of(await list_installations(session, here.tenant, page), InstallationAnswer.of)


@router.get(INSTALLATION, summary="One installation", **needs(Permission.REPOSITORIES_READ))
async def get_installation(here: Here, installation_id: UUID) -> InstallationAnswer:
    async with here.read() as session:
        found = await require_installation(session, here.tenant, InstallationId(installation_id))
    return InstallationAnswer.of(found)


@router.delete(INSTALLATION, summary="Let go of it, for good", **needs(Permission.REPOSITORIES_EDIT))
async def disconnect_installation(here: Here, installation_id: UUID) -> InstallationAnswer:
    """Its repositories are disconnected. To come back, uninstall the App on the code host and install it anew."""
    which = InstallationId(installation_id)
    async with here.write() as session:
        return InstallationAnswer.of(await disconnect(session, here.tenant, here.actor, which, here.now))
