"""The two cookies: of a login that has been begun, and of one that has happened."""

from datetime import timedelta

from starlette.responses import Response

from aicd_backend.settings import BackendSettings


def keep(response: Response, name: str, value: str, lasts: timedelta, settings: BackendSettings) -> None:
    """Sets a cookie that no script reads, no other host gets, and no other site's form or fetch sends along.

    `Lax`, not `Strict`: a provider's answer is a link from another site, and so are most people's first clicks.
    """
    response.set_cookie(
        name,
        value,
        max_age=int(lasts.total_seconds()),
        path="/",
        secure=settings.cookie_secure,
        httponly=True,
        samesite="lax",
    )


def drop(response: Response, name: str, settings: BackendSettings) -> None:
    """Takes a cookie away again."""
    response.delete_cookie(name, path="/", secure=settings.cookie_secure, httponly=True, samesite="lax")
