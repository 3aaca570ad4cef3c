"""Whose a delivery is: the organization of its installation, else the one that takes the account's installations."""

from collections.abc import Mapping
from dataclasses import dataclass

from aicd_core.db.database import Database, SystemDatabase
from aicd_core.errors import InvalidInputError
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.audit.models import ActorKind
from aicd_core.tenancy.audit.values import Actor
from aicd_core.tenancy.installations.repository import find_anywhere
from aicd_core.tenancy.installations.service import follow
from aicd_core.tenancy.installations.values import InstallationFacts
from aicd_core.tenancy.organizations.repository import find_by_slug
from aicd_github.webhooks.events import Event, InstallationEvent, InstallationRepositoriesEvent

GITHUB = Actor(ActorKind.SYSTEM, "github")
"""Who acts in the audit log where GitHub's word is followed."""


def parse_accounts(text: str, default: str) -> Mapping[str, str]:
    """AICD_GITHUB_ACCOUNTS: for each account, in small letters, the slug of the organization.

    Args:
        default: the organization of accounts that name none.

    Raises:
        InvalidInputError: an entry is neither `account` nor `account=organization`, or an account is there twice.
    """
    found: dict[str, str] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        account, equals, slug = (part.strip() for part in entry.partition("="))
        if not account or (equals and not slug) or account.lower() in found:
            raise InvalidInputError(
                f"AICD_GITHUB_ACCOUNTS cannot be used at {entry[:80]!r}. Write each account once, as "
                "`account=organization` with commas between.",
                code="bad_setting",
            )
        found[account.lower()] = slug or default
    return found


async def require_organizations(system: SystemDatabase, accounts: Mapping[str, str]) -> None:
    """Raises InvalidInputError: an account is for an organization that there is not."""
    async with system.read() as session:
        unknown = sorted({slug for slug in accounts.values() if await find_by_slug(session, slug) is None})
    if unknown:
        raise InvalidInputError(
            f"AICD_GITHUB_ACCOUNTS names {', '.join(map(repr, unknown))}, and there is no such organization. Look at "
            "the spelling, or make it first.",
            code="no_such_organization",
        )


@dataclass(frozen=True)
class Tenants:
    """Finds tenants.

    Args:
        api_url: GitHub's REST API: the host of the installations.
        accounts: as `parse_accounts` returns it; other accounts' installations are nobody's.
    """

    database: Database
    system: SystemDatabase
    api_url: str
    accounts: Mapping[str, str]

    async def of(self, event: Event) -> Tenant | None:
        """The tenant of an event; None where no organization wants it, or its installation was removed.

        An installation that is not known yet, because word of its beginning was lost or is late, is written down.
        """
        if event.installation is None:
            return None
        about_it = isinstance(event, InstallationEvent | InstallationRepositoriesEvent)
        async with self.system.read() as session:
            known = await find_anywhere(session, self.api_url, event.installation.id)
            slug = self.accounts.get((event.account or "").lower())
            claimed = None if known or slug is None else await find_by_slug(session, slug)
        if known is not None:
            return Tenant(known.org_id) if known.removed_at is None or about_it else None
        if claimed is not None and not about_it:
            facts = InstallationFacts(self.api_url, event.installation.id, event.account or "")
            async with self.database.write(claimed) as session:
                return claimed if await follow(session, claimed, GITHUB, facts) else None
        return claimed
