"""How fast signed deliveries are taken in, against a floor and a peer on the same machine, in the same run.

    .venv/bin/python bench/webhooks.py [--deliveries N] [--connections N] [--rounds N] [--jobs N]

Ours is `aicd github serve` on a real embedded Postgres that syncs to the disk. The floor is a bare ASGI route on the
same server that reads the body and runs the same insert: no signature, no JSON, no ring. The peer is npm's `probot`
with an empty handler, which verifies and parses, and stores nothing. Each delivery is GitHub's example of a labelled
issue with a number of its own. Rounds are interleaved; figures are medians of the rounds. Then once more while so many
jobs run on a worker. Exits with 1 when a delivery that was answered 202 is not stored.
"""

import argparse
import asyncio
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from aicd_core.db.database import SystemDatabase
from aicd_core.deliveries.repository import insert_delivery
from aicd_core.deliveries.values import NewDelivery
from aicd_core.ids import new_uuid
from aicd_core.testing.chaos.installation import AICD, Installation, installation, wait_until
from aicd_core.testing.chaos.work import place, scripted
from aicd_core.testing.databases import fresh_urls, migrated_server
from aicd_github.testing.node import node_environment, node_project
from aicd_github.webhooks.app import PATH
from aicd_github.webhooks.signature import sign

ROOT = Path(__file__).parents[1]
SECRET = "the secret of a benchmark"
ADDRESS = re.compile(rf"http://127\.0\.0\.1:(\d+){PATH}")
BURSTS = 20
"""At most, while jobs run; then they have the machine to themselves."""
PATIENCE = 1800.0
CONNECTIONS_OF_SERVER = 10
"""As `aicd_cli.webhook_server.POOL`."""


@dataclass(frozen=True)
class Burst:
    """What came of one burst: answers 202, deliveries per second, and milliseconds from sending to the answer."""

    taken: int
    rate: float
    p50: float
    p99: float

    def __str__(self) -> str:
        return f"{self.rate:7.0f}/s   p50 {self.p50:6.1f} ms   p99 {self.p99:6.1f} ms   202: {self.taken}"


def example() -> str:
    """GitHub's own example of a labelled issue, with marks where the numbers of the delivery and of the issue go."""
    folder = node_project(ROOT / "tests" / "node", ROOT / ".tools") / "node_modules" / "@octokit" / "webhooks-examples"
    events = json.loads((folder / "api.github.com" / "index.json").read_bytes())
    issues = next(event["examples"] for event in events if event["name"] == "issues")
    labelled = next(payload for payload in issues if payload["action"] == "labeled")
    return json.dumps({**labelled, "number_of_delivery": "@@", "issue": {**labelled["issue"], "number": "@number@"}})


def requests(template: str, count: int) -> list[bytes]:
    """Whole HTTP requests, signed beforehand."""
    made = []
    for number in range(1, count + 1):
        delivery = str(new_uuid())
        body = template.replace("@@", delivery).replace('"@number@"', str(number)).encode()
        head = (
            f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nX-GitHub-Event: issues\r\n"
            f"X-GitHub-Delivery: {delivery}\r\nX-Hub-Signature-256: {sign(SECRET, body)}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        made.append(head.encode() + body)
    return made


async def burst(port: int, wanted: Sequence[bytes], connections: int) -> Burst:
    """Sends all, each connection one after the other."""
    left, times, taken = iter(wanted), list[float](), 0

    async def connection() -> None:
        nonlocal taken
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for request in left:
            began = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
            await reader.readexactly(int(length[1]) if length else 0)
            if length is None and b"chunked" in head.lower():
                await reader.readuntil(b"0\r\n\r\n")
            times.append(time.perf_counter() - began)
            taken += head.split(b" ", 2)[1] in (b"202", b"200")
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(connection() for _ in range(connections)))
    seconds = time.perf_counter() - began
    ordered = sorted(times)
    return Burst(
        taken, len(wanted) / seconds, 1000 * statistics.median(ordered), 1000 * ordered[len(ordered) * 99 // 100]
    )


async def serve_floor(url: str) -> None:
    """The floor: a route that does nothing but the same insert."""
    system = SystemDatabase.connect(url, pool_size=CONNECTIONS_OF_SERVER)

    async def take(request: Request) -> Response:
        body, headers = await request.body(), request.headers
        new = NewDelivery(
            "floor", headers["X-GitHub-Delivery"], headers["X-GitHub-Event"], body, "https://x", None, "1#1"
        )
        await insert_delivery(system.courier(), new)
        return Response(status_code=202)

    config = uvicorn.Config(
        Route(PATH, take, methods=["POST"]),
        port=0,
        lifespan="off",
        ws="none",
        log_level="info",
        access_log=False,
    )
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    port = server.servers[0].sockets[0].getsockname()[1]
    sys.stderr.write(f"http://127.0.0.1:{port}{PATH}\n")
    sys.stderr.flush()
    await server.main_loop()


@contextmanager
def started(command: Sequence[str], environment: dict[str, str], log: Path, **options: Path) -> Iterator[int]:
    """A server process and its port."""
    with log.open("wb") as stderr:
        process = subprocess.Popen(command, env=environment, stderr=stderr, **options)  # type: ignore[call-overload]
    try:
        wait_until(lambda: ADDRESS.search(log.read_text()) is not None or process.poll() is not None, "a server")
        found = ADDRESS.search(log.read_text())
        assert found is not None, log.read_text()
        yield int(found[1])
    finally:
        process.terminate()
        process.wait()


@contextmanager
def ours(made: Installation) -> Iterator[int]:
    environment = {**made.environment(), "AICD_GITHUB_WEBHOOK_SECRET": SECRET}
    command = [str(AICD), "github", "serve", "--port", "0", "--data-dir", str(made.root / "web")]
    with started(command, environment, made.root / "ours.log") as port:
        yield port


@contextmanager
def floor(made: Installation) -> Iterator[int]:
    command = [sys.executable, __file__, "--serve-floor", made.urls.system]
    with started(command, dict(os.environ), made.root / "floor.log") as port:
        yield port


@contextmanager
def probot(made: Installation) -> Iterator[int]:
    """Probot; `empty.mjs` lies beside its packages, where Node looks for them."""
    folder = node_project(ROOT / "bench" / "node", ROOT / ".tools")
    script = folder / "empty.mjs"
    script.write_bytes((ROOT / "bench" / "node" / "empty.mjs").read_bytes())
    environment = {**node_environment(), "WEBHOOK_SECRET": SECRET, "NODE_ENV": "production"}
    with started(["node", str(script)], environment, made.root / "probot.log", cwd=folder) as port:
        yield port


SIDES = {"floor": floor, "ours": ours, "probot": probot}


def count(made: Installation, where: str) -> int:
    with psycopg.connect(made.urls.admin) as connection:
        row = connection.execute(f"SELECT count(*) FROM deliveries WHERE {where}".encode()).fetchone()
    return int(row[0]) if row else 0


def race(made: Installation, given: argparse.Namespace) -> bool:
    """Interleaved rounds of all sides; whether nothing was lost."""
    template = example()
    print(f"{given.deliveries} deliveries of {len(template):,} bytes, {given.connections} connections")
    found: dict[str, list[Burst]] = {name: [] for name in SIDES}
    with ExitStack() as stack:
        ports = {name: stack.enter_context(side(made)) for name, side in SIDES.items()}
        for name in SIDES:
            asyncio.run(burst(ports[name], requests(template, given.deliveries // 10), given.connections))
        for _ in range(given.rounds):
            for name in random.sample(list(SIDES), len(SIDES)):
                wanted = requests(template, given.deliveries)
                found[name].append(asyncio.run(burst(ports[name], wanted, given.connections)))
                print(f"  {name:7} {found[name][-1]}")
    medians = {name: statistics.median(each.rate for each in bursts) for name, bursts in found.items()}
    slowest = {name: statistics.median(each.p99 for each in bursts) for name, bursts in found.items()}
    for name in SIDES:
        print(
            f"{name:7} {medians[name]:7.0f}/s, {medians[name] / medians['floor']:.2f} of the floor; "
            f"p99 {slowest[name]:.1f} ms, {slowest[name] / slowest['floor']:.2f} of the floor's"
        )
    whole = given.rounds * given.deliveries + given.deliveries // 10
    stored, taken = count(made, "source = 'github'"), sum(each.taken for each in found["ours"])
    print(f"ours: {whole} sent, {stored} stored, {whole - stored} lost")
    return bool(stored == whole and taken == given.rounds * given.deliveries)


def beside_jobs(made: Installation, given: argparse.Namespace) -> bool:
    """The same burst of ours again and again while jobs run; whether nothing was lost, and all of it handled."""
    orders = list(scripted(made.model.url, given.jobs, random.Random(6), ("alpha", "beta", "gamma", "delta")))
    asyncio.run(place(made, orders))
    before = count(made, "source = 'github'")
    sent, bursts, template = 0, list[Burst](), example()
    with ours(made) as port:
        made.worker("worker", "--concurrency", str(given.jobs), "--queues", "jobs,chores,deliveries")
        wait_until(lambda: open_jobs(made) < given.jobs, "a job that has ended")
        while open_jobs(made) and len(bursts) < BURSTS:
            wanted = requests(template, given.deliveries // 4)
            bursts.append(asyncio.run(burst(port, wanted, given.connections)))
            sent += len(wanted)
            print(f"  ours, {open_jobs(made):2} jobs open: {bursts[-1]}")
        wait_until(lambda: not open_jobs(made), "the end of every job", PATIENCE)
        wait_until(
            lambda: count(made, "source = 'github' AND state = 'received'") == 0, "every delivery handled", PATIENCE
        )
    stored = count(made, "source = 'github'") - before
    if bursts:
        rate, p99 = statistics.median(b.rate for b in bursts), statistics.median(b.p99 for b in bursts)
        print(f"while {given.jobs} jobs run: {rate:.0f}/s, p99 {p99:.1f} ms")
    print(f"{sent} sent, {stored} stored, {sent - stored} lost, all of them handled; all jobs ended")
    return stored == sent


def open_jobs(made: Installation) -> int:
    with psycopg.connect(made.urls.admin) as connection:
        query = b"SELECT count(*) FROM jobs WHERE state NOT IN ('pr_open', 'merged', 'closed', 'failed', 'cancelled')"
        row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


def main() -> int:
    """0 when nothing was lost."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--deliveries", type=int, default=2000)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=50)
    parser.add_argument("--serve-floor", metavar="URL", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve_floor:
        asyncio.run(serve_floor(given.serve_floor))
        return 0
    with (
        tempfile.TemporaryDirectory(prefix="aicd-bench-") as root,
        migrated_server(Path(root) / "server", durable=True) as server,
        fresh_urls(server) as urls,
        installation(Path(root), urls, delay=0.3) as made,
    ):
        well = [race(made, given), beside_jobs(made, given)]
    return 0 if all(well) else 1


if __name__ == "__main__":
    sys.exit(main())
