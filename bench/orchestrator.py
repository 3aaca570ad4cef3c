"""How many pipelines the orchestrator completes, how soon it starts, and what that costs, beside a floor and its peers.

    .venv/bin/python bench/orchestrator.py [--quick] [--rounds N] [--jobs N] [--only NAME ...] [--finished N ...]

A pipeline is a job's life from its making to its pull request, five guarded statements: made, admitted, planned,
coded, published. The code host and the agent do nothing, in process; every transition, lease, event, notice, wake and
stored sub-result is real, in an embedded Postgres with fsync and in a Redis with its append-only file (each second).

Floors: the same five statements over raw psycopg, one round trip each, no queue, no lease, no engine; with both walls
as the application's role, without them as the superuser. Peers run the same statements, with both walls, each in a step
of its own. Every run is a process of its own on a fresh database; rounds are taken in turn, and a share of the floor is
the median of those in each round. At the end: the same with more and more finished jobs in the tables.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from aicd_core.testing.databases import TEMPLATE, TestUrls, fresh_urls, migrated_server
from aicd_core.testing.ending import clean_up_when_told_to_stop
from aicd_core.testing.redis import redis_server
from race.growth import grow
from race.run import CONTENDERS, FLOOR, OURS_POSTGRES, OURS_REDIS
from race.spec import Outcome, Spec, percentile
from race.world import make_world

BENCH = Path(__file__).parent
AIMS = {OURS_REDIS: 0.5, OURS_POSTGRES: 0.3}
"""Least share of the floor."""
Results = dict[str, list[Outcome]]


def race(spec: Spec) -> Outcome:
    """Runs one contender.

    Raises:
        RuntimeError: it failed.
    """
    search = os.pathsep.join(filter(None, (str(BENCH), os.environ.get("PYTHONPATH"))))
    command = [sys.executable, "-m", "race.run", str(spec)]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": search}, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{spec.contender} failed:\n{done.stderr[-3000:]}")
    return Outcome.parse(done.stdout.splitlines()[-1])


def one_run(urls: TestUrls, scratch: Path, name: str, arguments: argparse.Namespace) -> Outcome:
    """One contender on a database, with a Redis of its own where it wants one."""
    where, sizes = (urls.admin, urls.app, urls.system), (arguments.jobs, arguments.starts, arguments.concurrency)
    if not CONTENDERS[name].redis:
        return race(Spec(name, *where, None, *sizes))
    with tempfile.TemporaryDirectory(dir=scratch) as folder, redis_server(Path(folder)) as redis:
        return race(Spec(name, *where, redis.url, *sizes))


def rounds(server_url: str, scratch: Path, names: Iterable[str], arguments: argparse.Namespace) -> Results:
    """All contenders in turn, as often as there are rounds; every other round backwards."""
    results: Results = defaultdict(list)
    for number in range(arguments.rounds):
        for name in list(names)[:: -1 if number % 2 else 1]:
            with fresh_urls(server_url) as urls:
                outcome = one_run(urls, scratch, name, arguments)
            results[name].append(outcome)
            print(f"  round {number + 1}: {name:<28}{describe(outcome, arguments.jobs)}", file=sys.stderr)
    return results


def describe(outcome: Outcome, jobs: int) -> str:
    return outcome.missing or f"{jobs / outcome.seconds:8.0f} pipelines/s"


def report(results: Results, jobs: int) -> bool:
    """Prints the table; False when an aim was missed or a peer was faster."""
    print(
        f"\n{'':<28}{'pipelines/s':>12}{'of floor':>10}{'CPU ms/job':>12}{'servers':>9}{'start p50 ms':>14}{'p99':>9}"
    )
    shares: dict[str, float] = {}
    for name, outcomes in results.items():
        if outcomes[0].missing:
            print(f"{name:<28}left out: {outcomes[0].missing}")
            continue
        pairs = zip(results[FLOOR], outcomes, strict=True)
        shares[name] = statistics.median(floor.seconds / outcome.seconds for floor, outcome in pairs)
        rate = statistics.median(jobs / outcome.seconds for outcome in outcomes)
        cpu = statistics.median(outcome.cpu / jobs * 1000 for outcome in outcomes)
        served = statistics.median(outcome.servers / jobs * 1000 for outcome in outcomes)
        starts = [start for outcome in outcomes for start in outcome.starts]
        line = f"{name:<28}{rate:>12.0f}{shares[name]:>10.2f}{cpu:>12.2f}{served:>9.2f}"
        print(line + (f"{percentile(starts, 0.5):>14.1f}{percentile(starts, 0.99):>9.1f}" if starts else ""))
    return judge(shares)


def judge(shares: dict[str, float]) -> bool:
    """Prints what was aimed at and whether it holds."""
    peers = {name: share for name, share in shares.items() if not name.startswith(("ours", "floor"))}
    held = True
    for name, aim in AIMS.items():
        if name in shares:
            faster = [peer for peer, share in peers.items() if share >= shares[name]]
            ok = shares[name] >= aim and not faster
            held = held and ok
            words = "holds" if ok else f"MISSED{', behind ' + ', '.join(faster) if faster else ''}"
            print(f"aim: {name} at least {aim} of the floor and ahead of every peer: {shares[name]:.2f}, {words}")
    return held


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a look in a minute or two: few jobs, one round")
    parser.add_argument("--jobs", type=int, help="pipelines in each run (2000; quick 200)")
    parser.add_argument("--starts", type=int, help="starts of an idle worker in each run (100; quick 20)")
    parser.add_argument("--rounds", type=int, help="(5; quick 1)")
    parser.add_argument("--concurrency", type=int, default=50, help="jobs at work at once")
    parser.add_argument("--only", nargs="*", choices=CONTENDERS, default=list(CONTENDERS), metavar="NAME")
    parser.add_argument(
        "--finished", nargs="*", type=int, help="finished jobs to grow over (1000 to 1000000; quick: none)"
    )
    arguments = parser.parse_args()
    defaults = (200, 20, 1, []) if arguments.quick else (2000, 100, 5, [1_000, 10_000, 100_000, 1_000_000])
    for name, value in zip(("jobs", "starts", "rounds", "finished"), defaults, strict=True):
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    clean_up_when_told_to_stop()
    with tempfile.TemporaryDirectory(prefix="aicd-bench-") as scratch:
        return measure(Path(scratch), arguments)


def measure(scratch: Path, arguments: argparse.Namespace) -> int:
    """Races, then grows; 1 when an aim was missed."""
    with migrated_server(scratch / "postgres", durable=True) as server_url:
        template = TestUrls.of(server_url, TEMPLATE)
        make_world(template.admin)
        results = rounds(server_url, scratch, dict.fromkeys([FLOOR, *arguments.only]), arguments)
        held = report(results, arguments.jobs)
        if not arguments.finished:
            return 0 if held else 1

        def run(name: str) -> Outcome:
            return one_run(template, scratch, name, arguments)

        flat = grow(template.admin, arguments.finished, arguments.rounds, run)
    return 0 if held and flat else 1


if __name__ == "__main__":
    sys.exit(main())
