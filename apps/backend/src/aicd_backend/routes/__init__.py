"""The routes, one module for each kind of thing."""

from aicd_backend.routes import (
    api_keys,
    audit,
    auth,
    invitations,
    me,
    members,
    oauth,
    organizations,
    policies,
    repositories,
    sessions,
)

ROUTERS = tuple(
    module.router
    for module in (
        auth,
        oauth,
        me,
        sessions,
        organizations,
        members,
        invitations,
        api_keys,
        repositories,
        policies,
        audit,
    )
)
"""All of them; a route that is not here is not served."""
