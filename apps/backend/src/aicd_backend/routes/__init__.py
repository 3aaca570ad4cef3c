"""The routes, one module for each kind of thing."""

from aicd_backend.routes import api_keys, job_events, job_results, jobs, me, organizations, usage

ROUTERS = (
    me.router,
    organizations.router,
    api_keys.router,
    jobs.router,
    job_results.router,
    job_events.router,
    usage.router,
)
"""All of them; a route that is not here is not served."""
