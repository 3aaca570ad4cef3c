"""The console: the API's own functions as pages, for people with a browser (docs/console.md).

Pages are made here and nothing is decided here: each page declares the permission of the route whose function it calls,
and whatever a form does, that function does.
"""

from aicd_backend.console import (
    assets,
    audit,
    billing,
    changes,
    entry,
    job,
    jobs,
    keys,
    logs,
    people,
    policy,
    portal,
    repositories,
    steering,
    usage,
)

CONSOLE = tuple(
    module.router
    for module in (
        assets,
        entry,
        jobs,
        job,
        changes,
        logs,
        steering,
        repositories,
        policy,
        people,
        keys,
        audit,
        usage,
        billing,
        portal,
    )
)
"""All routers of pages, in the order in which a path is looked for."""
