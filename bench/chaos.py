"""The chaos test in its long form.

    .venv/bin/python bench/chaos.py [--jobs N] [--strikes N] [--seed S] [--queue postgres|redis]

Workers and servers are killed, stopped, restarted and emptied at random while many jobs, some with rejections, go
through them. Afterwards it says what was paid beyond need, and exits with 1 if anything is not as it must be.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from aicd_core.testing.chaos.fire import Fire, Intensity
from aicd_core.testing.chaos.installation import installation
from aicd_core.testing.chaos.verdict import Payment, breaches
from aicd_core.testing.chaos.work import place, scripted
from aicd_core.testing.ending import clean_up_when_told_to_stop

ORGANIZATIONS = ("alpha", "beta", "gamma", "delta")
TIMEOUT = 3600.0
"""Seconds after which jobs that are still at work count as lost."""


def burn(queue: str, jobs: int, strikes: int, seed: int) -> bool:
    """One run on one queue; prints what came of it, and says whether all was well."""
    chance = random.Random(seed)
    print(f"queue in {queue}, {jobs} jobs, {strikes} strikes, seed {seed}")
    with (
        tempfile.TemporaryDirectory(prefix="aicd-chaos-") as root,
        installation(Path(root), with_redis=queue == "redis", delay=0.3) as made,
    ):
        asyncio.run(place(made, list(scripted(made.model.url, jobs, chance, ORGANIZATIONS))))
        fire, began = Fire(made, chance, Intensity(workers=4, concurrency=3)), time.monotonic()
        fire.burn(strikes, TIMEOUT)
        seconds, found, paid = time.monotonic() - began, list(breaches(made, fire.at_risk)), Payment.of(made)
        amiss = fire.drain()
    struck = ", ".join(f"{kind} {times}" for kind, times in sorted(Counter(fire.struck).items()))
    print(f"  struck: {struck}")
    print(f"  {seconds:.0f} s; calls needed {paid.needed}, paid {paid.paid}, at risk {fire.at_risk}, most {paid.most}")
    print("\n".join(f"  a worker did not end as asked:\n{said}" for said in amiss) or "  every worker ended as asked")
    print("\n".join(f"  BREACH {breach}" for breach in found) or "  every job has one pull request; nothing is amiss")
    return not found and not amiss


def main() -> int:
    """0 when all was well."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--strikes", type=int, default=40)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--queue", choices=("postgres", "redis"), action="append")
    given = parser.parse_args()
    clean_up_when_told_to_stop()
    queues = given.queue or ["postgres", "redis"]
    well = [burn(queue, given.jobs, given.strikes, given.seed) for queue in queues]
    return 0 if all(well) else 1


if __name__ == "__main__":
    sys.exit(main())
