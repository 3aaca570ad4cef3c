"""The routes, one module for each kind of thing."""

from aicd_backend.routes import (
    api_keys,
    audit,
    invitations,
    me,
    members,
    organizations,
    policies,
    repositories,
    sessions,
)

ROUTERS = tuple(
    module.router
    for module in (me, sessions, organizations, members, invitations, api_keys, repositories, policies, audit)
)
"""All of them; a route that is not here is not served."""
