"""What `aicd run` costs beyond the work itself.

    .venv/bin/python bench/run_overhead.py [--rounds N] [--files N] [--hand-over]

The floor is a shell script that does the same work with nothing recorded, checked or contained: clone, apply, test,
commit, push. Three are run in turn, so that a machine whose speed drifts is fair to all: the floor, `aicd run` as a new
process on a warm data directory, and a job in a process that is already running. Times are wall-clock seconds.

With `--hand-over` only the work tree is measured: laying it, taking a small change in, and laying it back, each against
git itself in the tree with an index of its own, which is fast and must never be done to an agent's tree.
"""

import argparse
import asyncio
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from aicd_cli.runtime import LocalHosts, Store, load_settings, make_parts, open_store
from aicd_core.contracts import CodeHost, SandboxSession
from aicd_core.errors import UnavailableError
from aicd_core.ids import JobId, new_uuid
from aicd_core.jobs.machine import JobState
from aicd_core.orchestrator import Control, Foreground, ForegroundQueue, Intake, IssueText, wake_for
from aicd_core.settings import Settings
from aicd_github.local.host import LocalCodeHost

AICD = Path(sys.executable).with_name("aicd")
TEST = "grep -q changed src/file0000.txt"
FLOOR = """
set -e
git clone -q "$1" "$2"
cd "$2"
git apply "$3"
sh -c "$4"
git -c user.name=Floor -c user.email=floor@localhost commit -qam "Change"
git push -q origin "HEAD:refs/heads/floor/$5"
"""


@dataclass(frozen=True)
class Sample:
    """One `aicd run`: wall-clock seconds in all and to the first state, and peak resident memory in MiB."""

    total: float
    first_state: float
    peak_mib: float


def make_repository(root: Path, files: int) -> str:
    """A repository of so many files of 40 lines in one commit; returns a diff that changes one of them."""
    (root / "src").mkdir(parents=True)
    for number in range(files):
        lines = (f"file {number} line {line}\n" for line in range(40))
        (root / "src" / f"file{number:04}.txt").write_text("".join(lines))
    (root / ".aicd.yml").write_text(f"version: 1\ntests: ['{TEST}']\n")
    identity = ["-c", "user.name=Bench", "-c", "user.email=bench@localhost"]
    for arguments in (["init", "-q", "-b", "main"], ["add", "."], [*identity, "commit", "-qm", "Begin"]):
        subprocess.run(["git", *arguments], cwd=root, check=True)
    return (
        "--- a/src/file0000.txt\n+++ b/src/file0000.txt\n@@ -1,4 +1,4 @@\n-file 0 line 0\n+file 0 line 0 changed\n"
        " file 0 line 1\n file 0 line 2\n file 0 line 3\n"
    )


def issue_text(number: int, diff: str) -> str:
    return f"Change number {number}\n\n```diff\n{diff}```\n"


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def run_floor(source: Path, place: Path, diff: Path, number: int) -> float:
    words = ["sh", "-c", FLOOR, "sh", str(source), str(place / f"floor{number}"), str(diff), TEST, str(number)]
    return timed(lambda: subprocess.run(words, check=True))


def run_process(source: Path, data: Path, issue: str) -> Sample:
    """A whole `aicd run`, from fork to exit."""
    command = [str(AICD), "run", "--repo", str(source), "--issue", issue, "--data-dir", str(data)]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    first = next(time.perf_counter() - started for line in process.stdout if "planning" in line)
    process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    total = time.perf_counter() - started
    process.stdout.close()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"aicd run failed with {process.returncode}: {' '.join(command)}")
    return Sample(total, first, usage.ru_maxrss / 1024)


@dataclass(frozen=True)
class Running:
    """A process that is up already, with its database open."""

    store: Store
    foreground: Foreground
    host: CodeHost
    settings: Settings
    source: Path

    async def run(self, issue: str) -> float:
        """Seconds from the issue's text to the open pull request."""
        started = time.perf_counter()
        text = IssueText.parse(issue.encode(), max_bytes=self.settings.issue_max_bytes, name="The issue")
        intake = Intake(self.store.database, self.store.tenant)
        taken = await intake.take(
            str(self.source), self.host, text, agent="dummy", base=None, time_limit=600, anew=False
        )
        queue = ForegroundQueue()
        await queue.add(wake_for(taken.job))
        await queue.run(self.foreground.handle)
        took = time.perf_counter() - started
        if (await intake.get(taken.job.id)).state is not JobState.PR_OPEN:
            raise SystemExit(f"job {taken.job.id} did not open its pull request")
        return took


async def measure(place: Path, rounds: int, files: int) -> None:
    """Runs the three in turn and prints the medians."""
    source, data, diff_file = place / "source", place / "data", place / "diff"
    diff = make_repository(source, files)
    diff_file.write_text(diff)
    cold = run_process(source, data, issue_text(-1, diff))
    run_process(source, data, issue_text(-2, diff))
    floors: list[float] = []
    samples: list[Sample] = []
    warm: list[float] = []
    for number in range(rounds):
        floors.append(run_floor(source, place, diff_file, number))
        samples.append(run_process(source, data, issue_text(number, diff)))
        settings = load_settings(data)
        async with open_store(settings) as store:
            hosts = LocalHosts(settings)
            parts = make_parts(settings, store, hosts, lambda _: None)
            foreground = Foreground(parts, Control(parts, store.tenant, "bench"))
            running = Running(store, foreground, hosts.at(str(source)), settings, source)
            await running.run(issue_text(10_000 + 2 * number, diff))
            warm.append(await running.run(issue_text(10_001 + 2 * number, diff)))
    report(files, rounds, cold, floors, samples, warm)


def report(
    files: int, rounds: int, cold: Sample, floors: list[float], samples: list[Sample], warm: list[float]
) -> None:
    floor, total = statistics.median(floors), statistics.median(sample.total for sample in samples)
    inside = statistics.median(warm)
    print(f"{files} files, {rounds} rounds in turn, medians")
    print(f"  floor (shell script)         {floor:6.2f} s")
    print(f"  aicd run, new process        {total:6.2f} s   {total / floor:5.1f} x floor, {total - floor:+.2f} s")
    print(f"  job in a running process     {inside:6.2f} s   {inside / floor:5.1f} x floor, {inside - floor:+.2f} s")
    print(f"  overhead left when running   {(inside - floor) / (total - floor):6.0%} of a new process's")
    print(f"  time to the first state      {statistics.median(sample.first_state for sample in samples):6.2f} s")
    print(f"  peak memory, aicd itself     {statistics.median(sample.peak_mib for sample in samples):6.0f} MiB")
    print(f"  cold start, new data dir     {cold.total:6.2f} s")
    print(f"  peak memory, this process    {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:6.0f} MiB")


@dataclass(frozen=True)
class NoSandbox:
    """The commands are not what is measured."""

    owner: tuple[int, int] | None = None

    async def check(self) -> str:
        return "none"

    async def open(self, *_: object, **__: object) -> SandboxSession:
        raise UnavailableError("No command is run here.", code="sandbox_unavailable")


GIT_LAYS = "git read-tree -u --reset $BASE && git checkout-index --all --quiet --force && git update-index -q --refresh"
GIT_TAKES = (
    "git add --all && tree=$(git write-tree) && git diff-tree -r --raw --numstat -p -z --full-index -M50% $BASE $tree"
)


@dataclass(frozen=True)
class GitInTree:
    """Git at work in a tree of its own, as a user has it."""

    tree: Path
    environment: dict[str, str]

    def seconds(self, script: str) -> float:
        command = ["sh", "-ec", script]
        return timed(
            lambda: subprocess.run(command, cwd=self.tree, env=self.environment, check=True, stdout=subprocess.DEVNULL)
        )


async def awaited(work: Awaitable[object]) -> float:
    started = time.perf_counter()
    await work
    return time.perf_counter() - started


async def hand_over_round(place: Path, sha: str, number: int) -> AsyncIterator[tuple[str, float, float]]:
    """The parts of a work tree's life: what it is, and the seconds that ours and git take."""
    tree, source = place / f"tree{number}", place / "source"
    tree.mkdir()
    own = {"GIT_DIR": str(source / ".git"), "GIT_WORK_TREE": str(tree), "GIT_INDEX_FILE": str(place / f"index{number}")}
    git = GitInTree(tree, os.environ | own | {"BASE": sha})
    host = LocalCodeHost(str(source), place / "data", NoSandbox(), 60)
    await host.open(JobId(new_uuid()), sha)  # the mirror is there from now on
    started = time.perf_counter()
    checkout = await host.open(JobId(new_uuid()), sha)
    yield "open and lay", time.perf_counter() - started, git.seconds(GIT_LAYS)
    for turn in range(3):
        for root in (checkout.repository.tree, tree):
            (root / "src" / "file0000.txt").write_text(f"changed {turn}\n")
        checkout.touched()
        yield "take a change in", await awaited(checkout.capture(())), git.seconds(GIT_TAKES)
        checkout.touched()
        yield "lay back", await awaited(checkout.restore(None)), git.seconds(GIT_LAYS)


async def hand_over(place: Path, rounds: int, files: int) -> None:
    """Prints the medians of each part, ours and git's in turn."""
    make_repository(place / "source", files)
    words = ["git", "-C", str(place / "source"), "rev-parse", "HEAD"]
    sha = subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()  # noqa: ASYNC221
    took: dict[str, list[tuple[float, float]]] = {}
    for number in range(rounds):
        async for part, ours, gits in hand_over_round(place, sha, number):
            took.setdefault(part, []).append((ours, gits))
    print(f"{files} files, {rounds} rounds in turn, medians")
    for part, pairs in took.items():
        ours, gits = (statistics.median(times) for times in zip(*pairs, strict=True))
        print(f"  {part:<18}{ours * 1000:8.0f} ms   git {gits * 1000:6.0f} ms   {ours / gits:5.2f} x")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--hand-over", action="store_true", help="only the work tree, against git in the tree")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aicd-bench-") as place:
        run = hand_over if arguments.hand_over else measure
        asyncio.run(run(Path(place), arguments.rounds, arguments.files))


if __name__ == "__main__":
    main()
