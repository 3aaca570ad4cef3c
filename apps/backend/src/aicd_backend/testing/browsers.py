"""A person's browser: cookies by host, redirects followed one by one, our server among all the others."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.cookiejar import Cookie

import httpx
from fastapi import FastAPI

AGENT = "Mozilla/5.0 (test)"
REDIRECTS_MOST = 20


class Browser:
    """One browser, with one cookie jar."""

    def __init__(self, client: httpx.AsyncClient, ours: str) -> None:
        self._client = client
        self._ours = ours

    async def get(self, url: str) -> httpx.Response:
        """What a link leads to, before any redirect is followed."""
        return await self._client.get(self._absolute(url), headers={"Accept": "text/html,*/*"})

    async def post(self, url: str, origin: str | None) -> httpx.Response:
        """What a form or a script on a page of that origin sends; None: as something that is no browser would."""
        return await self._client.post(self._absolute(url), headers={} if origin is None else {"Origin": origin})

    async def follow(self, url: str, until: str) -> str:
        """Goes where a link leads, up to an address that begins with `until`, which is not visited."""
        for _ in range(REDIRECTS_MOST):
            if url.startswith(until):
                return url
            answer = await self.get(url)
            assert answer.is_redirect, (url, answer.status_code, answer.text)
            url = str(answer.url.join(answer.headers["Location"]))
        raise AssertionError(f"It goes on and on, at last to {url}")

    async def log_in(self, provider: str, return_to: str | None = None) -> httpx.Response:
        """Logs in, up to the answer of our callback."""
        return await self.get(await self.come_back(provider, return_to))

    async def come_back(self, provider: str, return_to: str | None = None) -> str:
        """Logs in at a provider, up to the address that it sends the browser back to, which is not visited."""
        began = await self._client.get(
            self._absolute(f"/v1/auth/{provider}/login"), params={"return_to": return_to} if return_to else None
        )
        assert began.is_redirect, began.text
        return await self.follow(began.headers["Location"], f"{self._ours}/v1/auth/{provider}/callback")

    def cookie(self, name: str) -> Cookie | None:
        """A cookie that it holds."""
        return next((cookie for cookie in self._client.cookies.jar if cookie.name == name), None)

    def put(self, name: str, value: str, host: str) -> None:
        """Gives it a cookie."""
        self._client.cookies.set(name, value, domain=host)

    def _absolute(self, url: str) -> str:
        return f"{self._ours}{url}" if url.startswith("/") else url


@asynccontextmanager
async def open_browser(app: FastAPI, ours: str) -> AsyncIterator[Browser]:
    """A browser to which our server is the application, and every other one is where its address says.

    Args:
        ours: our origin.
    """
    mounts = {ours: httpx.ASGITransport(app, client=("203.0.113.7", 4711))}
    async with httpx.AsyncClient(mounts=mounts, headers={"User-Agent": AGENT}) as client:
        yield Browser(client, ours)
