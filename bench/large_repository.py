"""What a job on a large repository behind a URL costs before it can begin.

    .venv/bin/python bench/large_repository.py [--rounds N] [--files N] [--commits N]

A generated repository is served by `git http-backend` on the loopback. In turn, each into an empty folder: git's own
full clone, git's own clone without files (`--filter=blob:none`, which then fetches those of the work tree), and a first
job of this product, once with the whole tree and once with one folder of twenty (`checkout.sparse`). Then a second job
after one more commit. Bytes are the server's answers, seconds are wall-clock and hold the server's work, disk is all
that lies there afterwards, the laid out trees included.
"""

import argparse
import asyncio
import os
import random
import statistics
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from aicd_core.ids import JobId, new_uuid
from aicd_github.local.host import LocalCodeHost
from aicd_github.testing.git_server import GitServer, serving
from run_overhead import NoSandbox

CHANGED = 40
"""Files that each commit changes."""
FOLDERS = 20
LINES = 30
SEED = 7
MIB = 1024 * 1024


class Cost(NamedTuple):
    """Bytes on the wire, wall-clock seconds, bytes on disk."""

    wire: float
    seconds: float
    disk: float


def history(files: int, commits: int) -> Iterator[bytes]:
    """A stream for `git fast-import`: branch `main`, and `sparse` with one more file on top of it."""
    chance = random.Random(SEED)
    words = [bytes(chance.choices(b"abcdefghijklmnopqrstuvwxyz", k=chance.randint(3, 10))) for _ in range(5_000)]

    def line() -> bytes:
        return b" ".join(chance.choices(words, k=8)) + b"\n"

    def blob(content: bytes) -> bytes:
        return b"data %d\n%s\n" % (len(content), content)

    def commit(branch: bytes, number: int, parent: bytes = b"") -> bytes:
        who = b"committer Bench <bench@localhost> %d +0000\n" % (1_700_000_000 + number)
        return b"commit refs/heads/%s\n" % branch + who + blob(b"commit %d" % number) + parent

    contents = [[line() for _ in range(LINES)] for _ in range(files)]
    for number in range(commits):
        yield commit(b"main", number)
        for file in range(files) if number == 0 else chance.sample(range(files), min(CHANGED, files)):
            if number:
                contents[file][chance.randrange(LINES)] = line()
            path = b"d%02d/s%02d/f%05d.txt" % (file % FOLDERS, file // FOLDERS % FOLDERS, file)
            yield b"M 100644 inline " + path + b"\n" + blob(b"".join(contents[file]))
    yield commit(b"sparse", commits, b"from refs/heads/main\n")
    yield b"M 100644 inline .aicd.yml\n" + blob(b"version: 1\ncheckout: {sparse: [d00]}\n") + b"done\n"


def git(*arguments: str) -> None:
    plain = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", *arguments], check=True, env=plain, stdout=subprocess.DEVNULL)


def make(bare: Path, files: int, commits: int) -> None:
    """Makes the repository, packed as a server keeps it."""
    git("init", "-q", "--bare", "-b", "main", str(bare))
    command = ["git", "-C", str(bare), "fast-import", "--quiet", "--done"]
    subprocess.run(command, input=b"".join(history(files, commits)), check=True)
    for arguments in (("config", "uploadpack.allowFilter", "true"), ("repack", "-adq"), ("pack-refs", "--all")):
        git("-C", str(bare), *arguments)


def one_more_commit(bare: Path, number: int) -> None:
    stream = (
        b"commit refs/heads/main\ncommitter Bench <bench@localhost> %d +0000\ndata 4\nmore\nfrom refs/heads/main^0\n"
        b"M 100644 inline d00/s00/more%d.txt\ndata 5\nmore\n\ndone\n" % (1_800_000_000 + number, number)
    )
    command = ["git", "-C", str(bare), "fast-import", "--quiet", "--done"]
    subprocess.run(command, input=stream, check=True)


def used(folder: Path) -> int:
    """Bytes on disk below a folder."""
    words = ["du", "--summarize", "--bytes", str(folder)]
    return int(subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()[0])


@dataclass(frozen=True)
class Bench:
    """One server and its repository."""

    server: GitServer
    root: Path

    @property
    def url(self) -> str:
        return self.server.url("project.git")

    async def cost(self, folder: Path, work: Callable[[], Awaitable[object]]) -> Cost:
        sent, started = self.server.sent, time.perf_counter()
        await work()
        return Cost(self.server.sent - sent, time.perf_counter() - started, used(folder))

    async def clone(self, folder: Path, *options: str) -> Cost:
        return await self.cost(
            folder, lambda: asyncio.to_thread(git, "clone", "-q", *options, self.url, str(folder / "clone"))
        )

    async def job(self, folder: Path, branch: str) -> Cost:
        async def first() -> None:
            host = LocalCodeHost(self.url, folder, NoSandbox(), 60)
            base = await host.resolve_base(branch)
            await host.open(JobId(new_uuid()), base.sha)

        return await self.cost(folder, first)


async def measure(bench: Bench, rounds: int) -> dict[str, list[Cost]]:
    """Every way in turn, in each round."""
    found: dict[str, list[Cost]] = {}
    for number in range(rounds):
        with tempfile.TemporaryDirectory(dir=bench.root) as name:
            ways: dict[str, Callable[[Path], Awaitable[Cost]]] = {
                "full clone": lambda folder: bench.clone(folder, "--branch=main"),
                "clone without files": lambda folder: bench.clone(folder, "--branch=main", "--filter=blob:none"),
                "a job, whole tree": lambda folder: bench.job(folder, "main"),
                "a job, one folder": lambda folder: bench.job(folder, "sparse"),
            }
            places = {way: Path(tempfile.mkdtemp(dir=name)) for way in ways}
            for way, run in ways.items():
                found.setdefault(way, []).append(await run(places[way]))
            one_more_commit(bench.root / "served/project.git", number)
            again = await bench.job(places["a job, whole tree"], "main")
            found.setdefault("the next job", []).append(again)
    return found


def report(files: int, commits: int, rounds: int, found: dict[str, list[Cost]]) -> None:
    medians = {way: Cost(*(statistics.median(part) for part in zip(*all_, strict=True))) for way, all_ in found.items()}
    floor = medians["full clone"]
    print(f"{files} files x {commits} commits, {rounds} rounds in turn, medians; ratios to the full clone")
    for way, cost in medians.items():
        print(
            f"  {way:<20}{cost.wire / MIB:8.2f} MiB {cost.wire / floor.wire:5.2f} x   "
            f"{cost.seconds:6.2f} s {cost.seconds / floor.seconds:5.2f} x   "
            f"disk {cost.disk / MIB:7.1f} MiB {cost.disk / floor.disk:5.2f} x"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--files", type=int, default=5_000)
    parser.add_argument("--commits", type=int, default=200)
    arguments = parser.parse_args()
    for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        os.environ.pop(proxy, None)
    with tempfile.TemporaryDirectory(prefix="aicd-bench-") as name:
        root = Path(name)
        (root / "served").mkdir()
        make(root / "served/project.git", arguments.files, arguments.commits)
        with serving(GitServer(root / "served")) as server:
            found = asyncio.run(measure(Bench(server, root), arguments.rounds))
        report(arguments.files, arguments.commits, arguments.rounds, found)


if __name__ == "__main__":
    main()
