"""Whoever said something in a repository, and what they may do there, asked of GitHub."""

from collections.abc import Mapping
from typing import Literal
from urllib.parse import quote

from aicd_core.contracts.outside import HostPerson
from aicd_core.errors import NotFoundError
from aicd_core.tenancy.triggers import RepositoryPermission
from aicd_github.hub.client import Client

READ_METADATA = frozenset({("metadata", "read")})
_KINDS: Mapping[str, Literal["person", "bot"]] = {"User": "person", "Bot": "bot"}


async def people_of(client: Client, accounts: Mapping[str, str], login: str) -> tuple[HostPerson, ...]:
    """Everybody, with what they may do.

    Args:
        accounts: GitHub's kind of account (`User`, `Bot`, …) by login.
        login: our own.

    Raises:
        AicdError: GitHub refuses, or does not answer.
    """
    found = []
    for name, kind in accounts.items():
        known = _KINDS.get(kind, "other")
        ours = name == login
        permission = await permission_of(client, name) if known == "person" and not ours else None
        found.append(HostPerson(login=name, kind=known, permission=permission, ourselves=ours))
    return tuple(found)


async def permission_of(client: Client, login: str) -> RepositoryPermission:
    """What an account may do with the repository at this moment.

    Of a role that an organization made up, GitHub says which of its own it is built on.
    """
    path = f"/collaborators/{quote(login, safe='')}/permission"
    what = f"What {login} may do in {client.address.full_name} could not be read"
    try:
        told = await client.get(path, READ_METADATA, what)
    except NotFoundError:
        return RepositoryPermission.NONE
    role = told.get("role_name")
    return RepositoryPermission(role if role in list(RepositoryPermission) else told["permission"])
