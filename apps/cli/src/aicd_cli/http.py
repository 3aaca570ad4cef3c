"""Serving HTTP inside of a process that has more to do."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from aicd_core.errors import UnavailableError

BACKLOG = 2048


class Server(uvicorn.Server):
    """A server that leaves signals to the process around it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def stop(self) -> None:
        """Takes no more requests; `serve` returns when those under way are answered."""
        self.should_exit = True


def plain_config(app: ASGIApp, ending_seconds: int) -> uvicorn.Config:
    """For a server of a few routes that has nothing to open, logs nothing and is behind no proxy.

    Args:
        ending_seconds: for answers under way when it is told to stop.
    """
    return uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=ending_seconds,
    )


@contextmanager
def listening(host: str, port: int, chosen_by: str = "--host and --port") -> Iterator[socket.socket]:
    """A listening socket; `chosen_by` names what an operator chooses the address with.

    Raises:
        UnavailableError: the address or the port cannot be had.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise UnavailableError(
            f"{host}:{port} cannot be listened on ({error.strerror or error}). Choose another with {chosen_by}.",
            code="port_unavailable",
        ) from error
    with listener:
        # Inherited by what is accepted; asyncio sets it only on sockets that it made. Without it the second part of an
        # answer waits 40 ms for the client's delayed acknowledgement of the first.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield listener


def url_of(listener: socket.socket) -> str:
    """Where a listening socket is reached, such as `http://[::1]:8080`."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
