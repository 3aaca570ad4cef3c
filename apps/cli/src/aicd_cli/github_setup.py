"""`aicd github setup`: a page on the loopback hands a manifest to GitHub, which sends the App's code back to it."""

import asyncio
import os
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from aicd_core.errors import InvalidInputError, UnavailableError
from aicd_github.hub.address import checked_api
from aicd_github.hub.api import Api
from aicd_github.hub.manifest import MadeApp, convert, manifest, page

_LINE_MAX = 16 * 1024
_DONE = "<!doctype html><title>AI-CD</title><p>The App is made. Go back to the terminal."
_CODE = re.compile(r"[A-Za-z0-9_-]{1,200}")
_ACCOUNT = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}")


@dataclass(frozen=True)
class Setup:
    """What the App is to be, and where what belongs to it is kept."""

    api_url: str
    name: str
    organization: str | None
    webhook_url: str | None
    folder: Path
    patience: float

    async def run(self, say: Callable[[str], None]) -> tuple[MadeApp, Path]:
        """Waits for a person to make the App in a browser; the App, and the folder with its secrets.

        Raises:
            InvalidInputError: a name cannot be one; there is an App already.
            UnavailableError: nobody made the App in time, or GitHub does not answer.
        """
        if self.organization is not None and not _ACCOUNT.fullmatch(self.organization):
            raise InvalidInputError(f"{self.organization!r} is not the name of an organization on GitHub.")
        if self.folder.exists():
            raise InvalidInputError(
                f"{self.folder} holds an App's secrets already. Move that folder away to make another App.",
                code="app_exists",
            )
        api = Api(checked_api(self.api_url))
        found: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        state = secrets.token_urlsafe(24)
        server = await asyncio.start_server(
            lambda reader, writer: self._answer(reader, writer, state, found), "127.0.0.1", 0, limit=_LINE_MAX
        )
        async with server:
            say(f"Open this in a browser on this machine:  {_address(server)}/")
            try:
                code = await asyncio.wait_for(found, self.patience)
            except TimeoutError as error:
                raise UnavailableError(
                    f"Nobody made the App within {self.patience:.0f} s. Run the command again.", code="nobody_came"
                ) from error
            made = await convert(api, code)
        keep(self.folder, made)
        return made, self.folder

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, state: str, found: asyncio.Future[str]
    ) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            status, body = self._page(head, writer.get_extra_info("sockname")[1], state, found)
            content = body.encode()
            kind = "Content-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\nConnection: close"
            writer.write(f"HTTP/1.1 {status}\r\n{kind}\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asked has gone, or speaks no HTTP
        finally:
            writer.close()

    def _page(self, head: bytes, port: int, state: str, found: asyncio.Future[str]) -> tuple[str, str]:
        """Status and page for a request. Only the callback that knows the state ends the waiting."""
        words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        target = urlsplit(words[1] if len(words) > 1 else "")
        query = {name: values[0] for name, values in parse_qs(target.query).items()}
        if target.path == "/":
            callback = f"http://127.0.0.1:{port}/callback"
            return "200 OK", page(
                self.api_url, self.organization, manifest(self.name, self.webhook_url, callback), state
            )
        known = secrets.compare_digest(query.get("state", "").encode(), state.encode())
        if target.path == "/callback" and known and _CODE.fullmatch(query.get("code", "")):
            if not found.done():
                found.set_result(query["code"])
            return "200 OK", _DONE
        return "404 Not Found", "<!doctype html><p>Not here."


def keep(folder: Path, made: MadeApp) -> None:
    """Stores what GitHub gives only once, for this user alone; the folder is there whole or not at all.

    Raises:
        UnavailableError: the disk refused; the App has to be made anew.
    """
    half = folder.with_name(f"{folder.name}.new")
    files = {"app-id": str(made.app_id), "key.pem": made.private_key, "webhook-secret": made.webhook_secret or ""}
    try:
        half.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, content in files.items():
            descriptor = os.open(half / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(content)
                os.fsync(descriptor)
        half.rename(folder)
    except OSError as error:
        raise UnavailableError(
            f"What belongs to the App {made.slug} could not be stored in {folder} ({error.strerror}). Delete the App "
            f"on {made.page}, mend the folder and begin anew.",
            code="not_writable",
        ) from error


def _address(server: asyncio.Server) -> str:
    host, port = server.sockets[0].getsockname()[:2]
    return f"http://{host}:{port}"
