"""Handlers of what GitHub says of our App's installations."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from aicd_core.db.database import Database
from aicd_core.deliveries.values import HANDLED, Outcome, ignored
from aicd_core.tenancy.installations import service
from aicd_core.tenancy.installations.values import InstallationFacts
from aicd_github.webhooks.events import InstallationEvent, InstallationRepositoriesEvent
from aicd_github.webhooks.parts import Installation, RepositoryName
from aicd_github.webhooks.routing import Arrival, Route
from aicd_github.webhooks.tenants import GITHUB

GONE = ignored("installation_removed", "The installation was removed, and what is said of it comes too late.")


def clone_url(api_url: str, full_name: str) -> str:
    """The clone URL of a repository, as GitHub gives it; of an API at `https://HOST/api/v3` or `https://api.HOST`."""
    web = api_url.removesuffix("/api/v3") if api_url.endswith("/api/v3") else api_url.replace("://api.", "://", 1)
    return f"{web}/{full_name}.git"


@dataclass(frozen=True)
class InstallationHandlers:
    """Keeps installations and their repositories as GitHub has them."""

    database: Database
    api_url: str

    def routes(self) -> tuple[Route[InstallationEvent] | Route[InstallationRepositoriesEvent], ...]:
        """For the router."""
        present = ("created", "suspend", "unsuspend", "new_permissions_accepted")
        return (
            Route(InstallationEvent, present, self.follow),
            Route(InstallationEvent, ("deleted",), self.remove),
            Route(InstallationRepositoriesEvent, ("added", "removed"), self.connect),
        )

    async def follow(self, arrival: Arrival, event: InstallationEvent) -> Outcome:
        """Writes down what it is now, and connects its repositories when it is new."""
        async with self.database.write(arrival.tenant) as session:
            known = await service.follow(session, arrival.tenant, GITHUB, self._facts(event.installation))
            if known is None:
                return GONE
            if event.action == "created":
                sources = self._sources(event.repositories)
                await service.let_in(session, arrival.tenant, GITHUB, known.id, sources)
        return HANDLED

    async def remove(self, arrival: Arrival, event: InstallationEvent) -> Outcome:
        """Takes it and its repositories out of use."""
        async with self.database.write(arrival.tenant) as session:
            facts, now = self._facts(event.installation), datetime.now(UTC)
            done = await service.remove(session, arrival.tenant, GITHUB, facts, now)
        return HANDLED if done else GONE

    async def connect(self, arrival: Arrival, event: InstallationRepositoriesEvent) -> Outcome:
        """Connects the repositories that were added, and disconnects those that were removed."""
        async with self.database.write(arrival.tenant) as session:
            known = await service.follow(session, arrival.tenant, GITHUB, self._facts(event.installation))
            if known is None:
                return GONE
            common = (session, arrival.tenant, GITHUB, known.id)
            await service.let_in(*common, self._sources(event.repositories_added))
            await service.shut_out(*common, self._sources(event.repositories_removed), datetime.now(UTC))
        return HANDLED

    def _facts(self, found: Installation) -> InstallationFacts:
        return InstallationFacts(self.api_url, found.id, found.account.login, found.suspended_at, found.updated_at)

    def _sources(self, repositories: Iterable[RepositoryName]) -> list[str]:
        return [clone_url(self.api_url, each.full_name) for each in repositories]
