"""Requests that schemathesis makes up from the OpenAPI document, sent to a running server as each role."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import Case
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation

from aicd_backend.ending import EndsStreamsWithin
from aicd_backend.testing.job_recipes import make_job, move, store_results
from aicd_backend.testing.world import Headers, World, enter_world, make_organizations, settings_under_test
from aicd_cli.http import listening
from aicd_core.jobs.machine import JobEvent
from aicd_core.tenancy.permissions import Role
from aicd_core.testing.databases import TestUrls, opened

ENDING = {
    "DELETE /v1/organizations/{org}",
    "DELETE /v1/me/organizations/{org}",
    "DELETE /v1/organizations/{org}/members/{member_id}",
    "PATCH /v1/organizations/{org}/members/{member_id}",
}
MADE_UP = ("Authorization", "Idempotency-Key")
"""Headers that are taken out: one would stand in the login's place, the other in that of the requests before."""
ACCEPTED = ["2xx", "400", "401", "403", "404", "409", "412", "428", "503"]
"""Answers to what has the form required: 400 says what is wrong all the same, such as an agent that nobody has. 422
says that it has not the form required, so the document would be wrong."""
Operation = APIOperation[Any, Any, Any, Any]
UNBOUNDED = 10**9
"""Requests a minute: limits would answer in the routes' place."""


@dataclass(frozen=True)
class Target:
    """A running server; `log_in` gives what a member of a role sends along, anew each time."""

    url: str
    log_in: Callable[[Role], Headers]
    job_id: str


@contextmanager
def running(urls: TestUrls) -> Iterator[Target]:
    """A server on a fresh database, in a thread of its own, while the block runs."""
    ready: Future[tuple[Target, Callable[[], None]]] = Future()

    async def serve() -> None:
        lifted = {"rate_limit_address": UNBOUNDED, "rate_limit_credential": UNBOUNDED, "rate_limit_login": UNBOUNDED}
        limits = settings_under_test().model_copy(update=lifted)
        async with opened(urls) as (database, system):
            orgs = await make_organizations(database, system)
            async with enter_world(database, system, *orgs, limits) as world:
                with listening("127.0.0.1", 0) as listener:
                    server = EndsStreamsWithin(uvicorn.Config(world.app, log_config=None), world.stores.feed)
                    loop = asyncio.get_running_loop()
                    url = f"http://127.0.0.1:{listener.getsockname()[1]}"

                    def log_in(role: Role) -> Headers:
                        return asyncio.run_coroutine_threadsafe(world.as_role(role), loop).result()

                    target = Target(url, log_in, await _job(world))

                    def stop() -> None:
                        loop.call_soon_threadsafe(setattr, server, "should_exit", True)

                    ready.set_result((target, stop))
                    await server.serve([listener])

    def work() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:
            if not ready.done():
                ready.set_exception(error)
            raise

    thread = threading.Thread(target=work)
    thread.start()
    target, stop = ready.result()
    try:
        yield target
    finally:
        stop()
        thread.join()


async def _job(world: World) -> str:
    """A job that has ended with everything that jobs come to, so that its stream ends, too."""
    job_id = await make_job(world, world.us)
    await store_results(world, world.us, job_id)
    await move(world, world.us, job_id, JobEvent.CANCELLED)
    return str(job_id)


def operations(target: Target) -> list[Operation]:
    """What the server's document describes; what takes people or the whole organization away comes last."""
    config = schemathesis.Config.from_dict({"checks": {"positive_data_acceptance": {"expected-statuses": ACCEPTED}}})
    schema = schemathesis.openapi.from_url(f"{target.url}/openapi.json", config=config)
    described = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    return sorted(described, key=lambda operation: operation.label in ENDING)


def fuzz(target: Target, operation: Operation, role: Role, *, examples: int, start: int) -> Counter[int]:
    """Sends made-up requests to one operation and has every check look at the answers.

    Args:
        examples: at most so many; `start` is the random seed.

    Returns:
        how often each status was answered.

    Raises:
        schemathesis.errors.SchemathesisError: a check failed; it says which, and how to send the request again.
    """
    statuses: Counter[int] = Counter()
    headers = dict(target.log_in(role))

    @seed(start)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def send(case: Case[Any]) -> None:
        for name in MADE_UP:
            case.headers.pop(name, None)
        case.path_parameters = {**(case.path_parameters or {}), **_known(target, case)}
        answer = case.call(headers=headers)
        statuses[answer.status_code] += 1
        case.validate_response(answer)

    send()
    return statuses


def _known(target: Target, case: Case[Any]) -> dict[str, str]:
    """Of the path's parameters those that name something: else nothing but 404 would ever be answered."""
    known = {"org": "acme", "job_id": target.job_id}
    return {name: known[name] for name in (case.path_parameters or {}) if name in known}
