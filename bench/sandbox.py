"""Commands in the sandbox against the same on the host, in turn: `true`, a test run of a second, 10 MB of output.

    python bench/sandbox.py [--rounds N] [--engine podman|docker --image IMAGE]

The aim is at most 5 ms on top of each command.
"""

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from aicd_core.contracts import Sandbox, SandboxLimits
from aicd_core.settings import MIB, Settings
from aicd_sandbox import BubblewrapSandbox, ContainerSandbox
from aicd_sandbox.arguments import BASE_ENVIRONMENT

TEST = """
import time, unittest

class Second(unittest.TestCase):
    def test_works_and_waits(self):
        end = time.process_time() + 0.5
        while time.process_time() < end:
            pass
        time.sleep(0.5)
"""
COMMANDS = {
    "true": ("true", 10),
    "1 s test run": ("python3 -m unittest -q test_second", 1),
    "10 MB of output": ("head -c 10000000 /dev/zero | tr '\\0' x", 3),
}
"""Each with how often it is run in a round."""

Runner = Callable[[str], Awaitable[None]]


async def on_the_host(tree: Path, command: str) -> None:
    """The floor: a shell whose output is read, as a user who trusts the command would run it."""
    process = await asyncio.create_subprocess_exec(
        *("/bin/sh", "-c", command),
        cwd=tree,
        env=BASE_ENVIRONMENT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    await process.communicate()


async def timed(run: Runner, command: str, times: int) -> float:
    """Seconds of one run, the mean of several in a row."""
    began = time.perf_counter()
    for _ in range(times):
        await run(command)
    return (time.perf_counter() - began) / times


async def measure(sandbox: Sandbox, rounds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="aicd-bench-") as place:
        tree = Path(place)
        (tree / "test_second.py").write_text(TEST)
        if sandbox.owner is not None:
            os.chown(tree, *sandbox.owner)
        began = time.perf_counter()
        session = await sandbox.open(tree)
        opening = time.perf_counter() - began

        async def inside(command: str) -> None:
            result = await session.run(command, timeout=60)
            assert result.ok, result

        print(f"{await sandbox.check()}; {rounds} rounds in turn, medians; opening took {opening * 1000:.0f} ms")
        for name, (command, times) in COMMANDS.items():
            host, boxed = [], []
            for _ in range(rounds):
                host.append(await timed(lambda words: on_the_host(tree, words), command, times))
                boxed.append(await timed(inside, command, times))
            report(name, statistics.median(host), statistics.median(boxed))
        await session.close()


def report(name: str, host: float, boxed: float) -> None:
    print(
        f"  {name:16} host {host * 1000:8.2f} ms   sandbox {boxed * 1000:8.2f} ms   "
        f"{boxed / host:5.2f} x   {(boxed - host) * 1000:+.2f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--engine", choices=("podman", "docker"))
    parser.add_argument("--image", default=Settings().sandbox_image)
    arguments = parser.parse_args()
    limits = SandboxLimits(
        memory=1024 * MIB,
        processes=512,
        file_size=1024 * MIB,
        output=MIB,
        log=64 * MIB,
        tree_size=1024 * MIB,
        tree_files=100_000,
    )
    sandbox: Sandbox = BubblewrapSandbox(limits)
    if arguments.engine:
        sandbox = ContainerSandbox(limits, engine=arguments.engine, image=arguments.image)
    asyncio.run(measure(sandbox, arguments.rounds))


if __name__ == "__main__":
    main()
