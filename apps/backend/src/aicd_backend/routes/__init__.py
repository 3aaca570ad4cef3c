"""The routes, one module for each kind of thing."""

from aicd_backend.routes import api_keys, me, organizations

ROUTERS = (me.router, organizations.router, api_keys.router)
"""All of them; a route that is not here is not served."""
