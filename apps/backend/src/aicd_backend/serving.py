"""What every process has that serves the API: how it speaks HTTP, and what works beside its routes."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import uvicorn

from aicd_backend.app import Api, open_billing
from aicd_backend.billing.exporter import exporting
from aicd_backend.billing.keeping import keeping
from aicd_backend.settings import BackendSettings
from aicd_backend.stores import Stores
from aicd_cli.receiving import open_route


def configure(app: Api, settings: BackendSettings) -> uvicorn.Config:
    """The HTTP server's configuration."""
    return uvicorn.Config(
        app,
        lifespan="on",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        timeout_graceful_shutdown=settings.shutdown_timeout,
    )


@asynccontextmanager
async def beside(app: Api, stores: Stores) -> AsyncIterator[None]:
    """Takes GitHub's deliveries in, charges and keeps billing, each where it is configured, while the block lasts.

    Raises:
        InvalidInputError: `weak_webhook_secret`.
    """
    async with AsyncExitStack() as stack:
        if stores.settings.github_webhook_secret is not None:
            app.router.routes.append(await stack.enter_async_context(open_route(stores.settings, stores.system)))
        await stack.enter_async_context(exporting(stores.database, stores.system, stores.settings))
        open_billing(app, await stack.enter_async_context(keeping(stores)), stores)
        yield
