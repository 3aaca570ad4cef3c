"""The composition of a worker process; see `runtime.load_workers` for why it stands alone."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import cast

from aicd_cli.runtime import LOCAL_ORGANIZATION, leftovers
from aicd_cli.serving import once_there
from aicd_core.deliveries.service import DeliveryWorker
from aicd_core.errors import InvalidInputError
from aicd_core.orchestrator import Dispatch, Parts, Worker, WorkerOptions
from aicd_core.queues.adapter import reach_redis
from aicd_core.queues.open import open_bell, open_queue, open_scheduler
from aicd_core.tenancy import Tenant
from aicd_github.desk import SteeredHost
from aicd_github.webhooks import SOURCE
from aicd_github.webhooks.feedback import FeedbackHandlers
from aicd_github.webhooks.installations import InstallationHandlers
from aicd_github.webhooks.places import HostAt, Places
from aicd_github.webhooks.routing import Router
from aicd_github.webhooks.steering import steering_routes
from aicd_github.webhooks.tenants import Tenants, parse_accounts, require_organizations

DELIVERIES_AT_ONCE = 4
"""Deliveries that a worker handles at once, beside its jobs: `serving.POOL_SPARE` has connections for them."""

__all__ = ["open_queue", "open_worker", "reach_redis"]


@asynccontextmanager
async def open_worker(parts: Parts, options: WorkerOptions, concurrency: int) -> AsyncIterator[Worker]:
    """A worker that takes up to `concurrency` jobs at once, ready to run.

    Raises:
        InvalidInputError: AICD_GITHUB_ACCOUNTS cannot be used, or names an organization that there is not.
    """
    redis_url = parts.settings.redis_url
    await once_there(lambda: require_organizations(parts.system, _accounts(parts)))
    async with (
        open_queue(parts.system, redis_url, concurrency=concurrency) as queue,
        open_bell(parts.system, redis_url, concurrency=DELIVERIES_AT_ONCE) as bell,
    ):
        sending = replace(parts, dispatch=Dispatch(queue, in_statement=redis_url is None))
        scheduler = open_scheduler(parts.system, redis_url)
        deliveries = DeliveryWorker(parts.system, bell, {SOURCE: github_router(sending)})
        yield Worker(sending, queue, scheduler, deliveries, options, lambda: leftovers(parts.settings))


def github_router(parts: Parts) -> Router:
    """What is done on GitHub's deliveries.

    Raises:
        InvalidInputError: AICD_GITHUB_ACCOUNTS cannot be used.
    """
    settings = parts.settings
    tenants = Tenants(parts.database, parts.system, settings.github_api_url, _accounts(parts))
    installations = InstallationHandlers(parts.database, settings.github_api_url)
    places = Places(parts.database, settings.github_api_url, steered_host(parts))
    feedback = FeedbackHandlers(parts.database, places, settings.feedback_delay)
    routes = (*installations.routes(), *steering_routes(parts, steered_host(parts)), *feedback.routes())
    return Router(tenants, routes, timedelta(days=settings.delivery_days))


def _accounts(parts: Parts) -> Mapping[str, str]:
    return parse_accounts(parts.settings.github_accounts, LOCAL_ORGANIZATION)


def steered_host(parts: Parts) -> HostAt:
    """Finds the hosts that steer jobs."""

    def at(source: str, tenant: Tenant) -> SteeredHost:
        host = parts.hosts.at(source, tenant)
        if not hasattr(host, "desk"):
            raise InvalidInputError(
                f"There is no way into GitHub for {source}. Set AICD_GITHUB_APP_ID and the App's key for the workers, "
                "restart them, and have GitHub deliver this again.",
                code="no_github_credentials",
            )
        return cast("SteeredHost", host)

    return at
