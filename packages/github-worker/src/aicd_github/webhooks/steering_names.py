"""New names of repositories and accounts: what we know follows them, and jobs go on."""

from dataclasses import dataclass

from aicd_core.db.database import Database
from aicd_core.deliveries.values import HANDLED, Outcome, ignored
from aicd_core.tenancy.installations.repository import find_installation
from aicd_core.tenancy.repositories import following
from aicd_github.webhooks.events import InstallationTargetEvent, RepositoryChangedEvent
from aicd_github.webhooks.installations import GONE, clone_url
from aicd_github.webhooks.places import Places
from aicd_github.webhooks.routing import Arrival, Route
from aicd_github.webhooks.tenants import GITHUB

NO_NAME = ignored("no_new_name", "It does not say which name was replaced.")


@dataclass(frozen=True)
class NameHandlers:
    """Follows new names."""

    places: Places
    database: Database

    def routes(self) -> tuple[Route[RepositoryChangedEvent] | Route[InstallationTargetEvent], ...]:
        """For the router."""
        return (
            Route(RepositoryChangedEvent, ("renamed", "transferred"), self.on_repository),
            Route(InstallationTargetEvent, ("renamed",), self.on_account),
        )

    async def on_repository(self, arrival: Arrival, event: RepositoryChangedEvent) -> Outcome:
        """Gives the repository the name that it has now."""
        place = await self.places.of(arrival, event)
        return place if isinstance(place, Outcome) else HANDLED

    async def on_account(self, arrival: Arrival, event: InstallationTargetEvent) -> Outcome:
        """Gives the installation's account, and its repositories, their new name."""
        before = event.changes.login.from_ if event.changes.login else None
        if before is None:
            return NO_NAME
        api = self.places.api_url
        async with self.database.write(arrival.tenant) as session:
            known = await find_installation(session, arrival.tenant, api, event.installation.id)
            if known is None or known.removed_at is not None:
                return GONE
            prefixes = (clone_url(api, f"{name}/x").removesuffix("x.git") for name in (before, event.target.login))
            await following.rename_account(session, arrival.tenant, GITHUB, known, event.target.login, *prefixes)
        return HANDLED
