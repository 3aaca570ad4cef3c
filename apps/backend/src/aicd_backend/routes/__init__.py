"""The routes, one module for each kind of thing."""

from aicd_backend.routes import (
    api_keys,
    audit,
    auth,
    billing,
    billing_checkout,
    invitations,
    job_events,
    job_results,
    jobs,
    me,
    members,
    oauth,
    organizations,
    outcomes,
    past_policies,
    policies,
    repositories,
    secrets,
    sessions,
    usage,
)

ROUTERS = tuple(
    module.router
    for module in (
        *(jobs, job_events, job_results, me, usage, outcomes, repositories, organizations, policies, audit),
        *(past_policies, auth, oauth, sessions, members, invitations, api_keys, secrets, billing, billing_checkout),
    )
)
"""All of them, those first that are asked most: a path is looked for from the first on.

A route that is not here is not served.
"""
