"""What a pipeline costs as finished jobs pile up in the tables, and how the statement that takes jobs runs there."""

import asyncio
import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence

import psycopg

from aicd_core.db.sessions import SystemCourier
from aicd_core.jobs.leases import repository as leases
from aicd_core.jobs.leases.values import Demand
from race.run import FLOOR, OURS_POSTGRES, OURS_REDIS
from race.spec import Outcome
from race.statements import Recorder
from race.world import add_finished

MOST = 1.5
"""How many times what a pipeline costs on the fewest finished jobs it may cost on the most: it is noise, not growth."""
BIG = ("jobs", "job_events")


def grow(url: str, sizes: Sequence[int], rounds: int, run: Callable[[str], Outcome]) -> bool:
    """Fills a database step by step and races on it; False when it gets dearer, or a big table is read whole.

    Args:
        url: of the database, as the superuser.
        run: runs one contender on it.
    """
    shares: dict[str, list[float]] = defaultdict(list)
    cpu: dict[str, list[float]] = defaultdict(list)
    before = 0
    print(f"\n{'finished jobs':>14}{'floor':>10}{'ours, Postgres':>16}{'ours, Redis':>13}   (seconds, of the floor)")
    for size in sizes:
        add_finished(url, before, size)
        before = size
        found: dict[str, list[Outcome]] = defaultdict(list)
        for _ in range(min(rounds, 3)):
            for name in (FLOOR, OURS_POSTGRES, OURS_REDIS):
                found[name].append(run(name))
        floor = statistics.median(outcome.seconds for outcome in found[FLOOR])
        for name in (OURS_POSTGRES, OURS_REDIS):
            pairs = zip(found[FLOOR], found[name], strict=True)
            shares[name].append(statistics.median(ours.seconds / base.seconds for base, ours in pairs))
            cpu[name].append(statistics.median(outcome.cpu for outcome in found[name]))
        print(f"{size:>14,}{floor:>9.1f}s{shares[OURS_POSTGRES][-1]:>15.2f}x{shares[OURS_REDIS][-1]:>12.2f}x")
    flat = all(values[-1] <= values[0] * MOST for values in cpu.values())
    print(f"CPU per job on the most, of that on the fewest: {_growth(cpu)} ({'flat' if flat else 'NOT FLAT'})")
    return _takes_by_key(url) and flat


def _growth(cpu: dict[str, list[float]]) -> str:
    return ", ".join(f"{name} {values[-1] / values[0]:.2f}" for name, values in cpu.items())


def _takes_by_key(url: str) -> bool:
    """Prints the plan of the statement that takes jobs; False when it reads a big table from end to end."""
    recorder = Recorder()
    asyncio.run(leases.take(SystemCourier(recorder.run), Demand(["owner"], 15.0)))
    take = recorder.calls[-1]
    with psycopg.connect(url, cursor_factory=psycopg.RawCursor) as connection:
        connection.execute(b"SET plan_cache_mode = force_generic_plan")
        explain = b"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) " + take.prepared.sql
        rows = connection.execute(explain, take.parameters).fetchall()
        connection.rollback()
    lines = [line for (line,) in rows]
    print("how jobs are taken there:")
    for line in lines:
        if "Scan" in line or "Time" in line:
            print(f"    {line.strip()}")
    return not any(f"Seq Scan on {table} " in line for line in lines for table in BIG)
