"""Who am I, and where may I do what?"""

from typing import Literal
from uuid import UUID

from pydantic import Field

from aicd_backend.access import Level, needs, secured_router
from aicd_backend.bodies import Answer
from aicd_backend.callers import AnyCaller, Caller
from aicd_core.tenancy.accounts.service import get_user
from aicd_core.tenancy.memberships.service import organizations_of
from aicd_core.tenancy.organizations.service import require_organization
from aicd_core.tenancy.permissions import Permission, Role, powers_of_role
from aicd_core.tenancy.principals.values import KeyPrincipal

router = secured_router("me")


class PlaceAnswer(Answer):
    """An organization, and what the caller may do there."""

    slug: str = Field(examples=["acme"])
    name: str
    role: Role | None = Field(description="A person's role; null for an API key.")
    permissions: tuple[Permission, ...] = Field(description="All that the caller may do there.")


class UserAnswer(Answer):
    """A person."""

    id: UUID
    email: str
    email_verified: bool
    name: str


class MeAnswer(Answer):
    """Whoever sends the request."""

    kind: Literal["user", "api_key"]
    id: UUID = Field(description="Of the user or the API key.")
    user: UserAnswer | None = Field(description="The person; null for an API key.")
    organizations: tuple[PlaceAnswer, ...]


@router.get("/me", summary="Who the caller is, and where it may do what", **needs(Level.AUTHENTICATED))
async def get_me(caller: AnyCaller) -> MeAnswer:
    places = await places_of(caller)
    principal = caller.principal
    if isinstance(principal, KeyPrincipal):
        return MeAnswer(kind="api_key", id=principal.key_id, user=None, organizations=places)
    async with caller.stores.database.accounts() as session:
        found = await get_user(session, principal.user_id)
    user = UserAnswer(id=found.id, email=found.email, email_verified=found.email_verified, name=found.name)
    return MeAnswer(kind="user", id=principal.user_id, user=user, organizations=places)


async def places_of(caller: Caller) -> tuple[PlaceAnswer, ...]:
    """Every organization that the caller has a place in, by its slug."""
    principal = caller.principal
    if isinstance(principal, KeyPrincipal):
        place = principal.place
        async with caller.stores.database.read(place.tenant) as session:
            name = (await require_organization(session, place.tenant)).name
        return (PlaceAnswer(slug=place.slug, name=name, role=None, permissions=_sorted(place.powers)),)
    async with caller.stores.system.read() as system:
        found = await organizations_of(system, principal.user_id)
    return tuple(
        PlaceAnswer(slug=org.slug, name=org.name, role=org.role, permissions=_sorted(powers_of_role(org.role)))
        for org in found
    )


def _sorted(powers: frozenset[Permission]) -> tuple[Permission, ...]:
    return tuple(permission for permission in Permission if permission in powers)
