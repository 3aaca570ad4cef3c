"""Is the process alive, and can it serve?"""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from aicd_cli.readiness import ReadyCheck, SharedCheck
from aicd_core.errors import UnavailableError


class Health(BaseModel):
    """The answer of a server that is well."""

    status: Literal["ok"] = "ok"


def health_router(ready: ReadyCheck, timeout: float) -> APIRouter:
    """`/healthz` and `/readyz`, open to everybody: they tell nothing but yes or no."""
    router = APIRouter(tags=["health"])
    check = SharedCheck(ready, timeout)

    @router.get("/healthz", summary="The process is alive")
    async def healthz() -> Health:
        return Health()

    @router.get("/readyz", summary="The server can serve: what it needs answers")
    async def readyz() -> Health:
        if not await check.passes():
            raise UnavailableError(
                "The server is not ready: something that it needs does not answer. Its log says what.",
                code="not_ready",
            )
        return Health()

    return router
