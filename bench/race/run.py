"""One run of one contender in a process of its own: `python -m race.run SPEC`; the last line is the outcome."""

import asyncio
import gc
import importlib
import sys
from dataclasses import dataclass

from race.spec import Outcome, Spec


@dataclass(frozen=True)
class Contender:
    """Where it is found, and whether its run has a Redis."""

    module: str
    function: str
    redis: bool = False


FLOOR = "floor, both walls"
OURS_POSTGRES, OURS_REDIS = "ours, Postgres", "ours, Redis"
CONTENDERS = {
    FLOOR: Contender("floor", "with_walls"),
    "floor, no walls": Contender("floor", "without_walls"),
    OURS_POSTGRES: Contender("ours", "with_no_steps"),
    OURS_REDIS: Contender("ours", "with_no_steps", redis=True),
    "ours, Postgres, real steps": Contender("ours", "with_real_steps"),
    "ours, Redis, real steps": Contender("ours", "with_real_steps", redis=True),
    "BullMQ, Postgres": Contender("bare_bullmq", "run"),
    "BullMQ, Redis": Contender("bare_bullmq", "run", redis=True),
    "procrastinate": Contender("peer_procrastinate", "run"),
    "DBOS": Contender("peer_dbos", "run"),
}


def main() -> None:
    spec = Spec.parse(sys.argv[1])
    contender = CONTENDERS[spec.contender]
    try:
        run = getattr(importlib.import_module(f"race.{contender.module}"), contender.function)
    except ImportError as error:
        outcome = Outcome(missing=f"{error}; `make bench` installs it")
    else:
        gc.freeze()  # what was imported is nobody's garbage
        outcome = asyncio.run(run(spec))
    print(outcome, flush=True)


if __name__ == "__main__":
    main()
