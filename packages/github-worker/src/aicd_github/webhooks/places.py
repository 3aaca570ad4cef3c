"""The repository that an event is about, as we have it: found by GitHub's number, under the name that it has now."""

from collections.abc import Callable
from dataclasses import dataclass

from aicd_core.db.database import Database
from aicd_core.deliveries.values import Outcome, ignored
from aicd_core.errors import AicdError, UnavailableError
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.repositories.following import RepositoryFacts, follow
from aicd_core.tenancy.repositories.repository import find_by_number
from aicd_core.tenancy.repositories.values import RepositoryView
from aicd_github.desk import Desk, SteeredHost
from aicd_github.webhooks.events import RepositoryEvent
from aicd_github.webhooks.installations import clone_url
from aicd_github.webhooks.routing import Arrival
from aicd_github.webhooks.tenants import GITHUB

HostAt = Callable[[str, Tenant], SteeredHost]
"""The code host of a clone URL, for a tenant; raises InvalidInputError where there is no way into GitHub."""

DISCONNECTED = ignored("repository_disconnected", "The repository is disconnected: the App was taken off it.")
TAKEN = ignored("other_repository", "Another repository is known under this name, so nothing is done on this one.")


@dataclass(frozen=True)
class Place:
    """A repository of a tenant, and its host."""

    tenant: Tenant
    repository: RepositoryView
    host: SteeredHost

    @property
    def desk(self) -> Desk:
        return self.host.desk


@dataclass(frozen=True)
class Places:
    """Finds places.

    Args:
        api_url: GitHub's REST API, as installations have it.
    """

    database: Database
    api_url: str
    host_at: HostAt

    async def of(self, arrival: Arrival, event: RepositoryEvent) -> Place | Outcome:
        """Where an event happened, written down or renamed as need be; or why nothing is to be done there.

        Raises:
            AicdError: no credentials for GitHub are set, or it does not answer.
        """
        tenant, source = arrival.tenant, clone_url(self.api_url, event.repository.full_name)
        async with self.database.read(tenant) as session:
            known = await find_by_number(session, tenant, event.repository.id)
        if known is None or (known.source != source and not await self._is_called(known.source, tenant)):
            assert event.installation is not None, "without one, the event would be nobody's"
            facts = RepositoryFacts(self.api_url, event.installation.id, event.repository.id, source)
            async with self.database.write(tenant) as session:
                known = await follow(session, tenant, GITHUB, facts)
        if known is None:
            return TAKEN
        if known.disconnected_at is not None:
            return DISCONNECTED
        return Place(tenant, known, self.host_at(known.source, tenant))

    async def _is_called(self, source: str, tenant: Tenant) -> bool:
        """Whether the repository that we know is still called so: events come late, too."""
        try:
            return clone_url(self.api_url, await self.host_at(source, tenant).desk.name_now()) == source
        except UnavailableError:
            raise
        except AicdError:
            return False
