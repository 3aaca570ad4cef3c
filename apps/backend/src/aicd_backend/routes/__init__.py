"""The routes, one module for each kind of thing."""

from aicd_backend.routes import (
    api_keys,
    audit,
    auth,
    invitations,
    job_events,
    job_results,
    jobs,
    me,
    members,
    oauth,
    organizations,
    policies,
    repositories,
    sessions,
    usage,
)

ROUTERS = tuple(
    module.router
    for module in (
        *(auth, oauth, me, sessions, organizations, members, invitations, api_keys, repositories, policies, audit),
        *(jobs, job_results, job_events, usage),
    )
)
"""All of them; a route that is not here is not served."""
