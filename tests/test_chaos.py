"""Nothing is lost and nothing happens twice while processes and servers are killed, stopped and emptied."""

import asyncio
import logging
import random
from pathlib import Path

import pytest

from aicd_core.testing.chaos.fire import Fire
from aicd_core.testing.chaos.installation import installation
from aicd_core.testing.chaos.verdict import Payment, breaches
from aicd_core.testing.chaos.work import place, scripted

JOBS = 30
STRIKES = 8
_log = logging.getLogger(__name__)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("with_redis", [False, True], ids=["queue in Postgres", "queue in Redis"])
def test_every_job_under_fire_ends_as_one_pull_request_and_pays_once(tmp_path: Path, with_redis: bool):
    seed = random.randrange(1_000_000)
    _log.warning("seed %d", seed)
    chance = random.Random(seed)
    with installation(tmp_path, with_redis=with_redis, delay=0.3) as made:
        asyncio.run(place(made, list(scripted(made.model.url, JOBS, chance, ("alpha", "beta", "gamma")))))
        fire = Fire(made, chance)
        fire.burn(STRIKES, timeout=480)
        _log.warning("%s; struck: %s", Payment.of(made), ", ".join(fire.struck))
        assert list(breaches(made, fire.at_risk)) == []
        assert fire.drain() == []
