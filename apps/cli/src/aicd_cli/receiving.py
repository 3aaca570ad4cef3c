"""The composition of what takes GitHub's deliveries in."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.routing import Route

from aicd_core.db.database import SystemDatabase
from aicd_core.deliveries.service import Announcer, store
from aicd_core.deliveries.values import NewDelivery, Stored
from aicd_core.errors import InvalidInputError
from aicd_core.queues.open import open_bell
from aicd_core.settings import Settings
from aicd_github.webhooks.app import WebhookEndpoint, webhook_route
from aicd_github.webhooks.signature import Secrets


@asynccontextmanager
async def open_route(settings: Settings, system: SystemDatabase) -> AsyncIterator[Route]:
    """The route that GitHub delivers to, for as long as the block lasts.

    Raises:
        InvalidInputError: there is no secret that deliveries could be signed with.
    """
    secrets = secrets_of(settings)
    async with open_bell(system, settings.redis_url, concurrency=1) as bell:
        announcer = Announcer(bell)

        async def keep(new: NewDelivery) -> Stored:
            stored = await store(system, new)
            if stored is not Stored.REPEATED:
                announcer.announce()
            return stored

        yield webhook_route(WebhookEndpoint(secrets, keep, settings.github_api_url))
        await announcer.close()


def secrets_of(settings: Settings) -> Secrets:
    """What deliveries are signed with; raises as `open_route`."""
    current, previous = settings.github_webhook_secret, settings.github_webhook_secret_previous
    if current is None:
        raise InvalidInputError(
            "AICD_GITHUB_WEBHOOK_SECRET is not set, and no delivery is taken that nobody signed. Set it to the webhook "
            "secret of the GitHub App (make one with `openssl rand -hex 32`).",
            code="webhook_secret_missing",
        )
    return Secrets(current.get_secret_value(), None if previous is None else previous.get_secret_value())
