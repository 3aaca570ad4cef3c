"""An upgrade while work goes on: code of one level and of the next on one database, as real processes.

The older code is once the one before this version, from git's history, with this version as the newer one: migrations
leave the version before working. And once it is this version, with a copy of it as the newer one that has one more
migration: this version lets itself be followed, and come back to.
"""

import signal
from pathlib import Path

import pytest

from aicd_core.jobs.machine import JobEvent, JobState
from aicd_core.migrations import HEAD
from aicd_core.migrations.compatibility import FIRST_LEVEL
from aicd_core.testing.chaos.installation import AicdProcess
from aicd_core.testing.chaos.repository import list_events
from aicd_core.testing.chaos.verdict import breaches
from upgrading import HISTORY, Upgrade, columns_of, kept, upgrading
from versions import Version, next_version, two_versions

BREAKS = 'op.create_check_constraint("nobody_reviews", "jobs", "state <> \'reviewing\'")'
"""No reader of SQL knows that older code writes this."""


@pytest.mark.parametrize("kind", ["history", "copy"])
def test_versions_of_two_levels_work_side_by_side_and_the_older_one_comes_back(
    postgres_url: str, tmp_path: Path, kind: str
):
    with upgrading(postgres_url, tmp_path, *two_versions(kind, tmp_path)) as upgrade:
        staying = _side_by_side(upgrade)
        events = [event.event for event in list_events(upgrade.made.urls.admin)]
        assert (events.count(JobEvent.HANDED_OVER), events.count(JobEvent.RETRY_SCHEDULED)) == (2, 0)
        staying.signal(signal.SIGTERM)
        assert upgrade.ended(staying) == 0
        _goes_back(upgrade)
        assert list(breaches(upgrade.made, 0)) == []


def test_a_migration_that_breaks_the_older_version_is_told_at_once(postgres_url: str, tmp_path: Path):
    older, newer = Version(HEAD), next_version(tmp_path / "newer", None, more=BREAKS)
    with upgrading(postgres_url, tmp_path, older, newer) as upgrade:
        upgrade.migrate(older)
        upgrade.order(older, "Stays")
        upgrade.made.model.hold_from(2)
        upgrade.worker(older, "first")
        upgrade.wait_for_calls(2)
        upgrade.migrate(newer)
        upgrade.made.model.release()
        with pytest.raises(AssertionError, match=rf"code of {HEAD}: psycopg\.errors\.CheckViolation: .*nobody_reviews"):
            upgrade.wait_for_pull_request("Stays")


def _side_by_side(upgrade: Upgrade) -> AicdProcess:
    """Each job: 1 call to plan, 1 to code, 1 to review. One version's worker has one job, the other's the other.

    Returns:
        The older version's worker, which goes on.
    """
    older, newer, model = upgrade.older, upgrade.newer, upgrade.made.model
    upgrade.migrate(older)
    upgrade.order(older, "Stays")
    model.hold_from(2)
    staying = upgrade.worker(older, "first")
    upgrade.wait_for_calls(2)
    upgrade.order(older, "Moves")
    leaving = upgrade.worker(older, "second")
    upgrade.wait_for_calls(3)
    assert upgrade.is_at(staying, "Stays", JobState.CODING)
    assert upgrade.is_at(leaving, "Moves", JobState.PLANNING)

    columns = columns_of(upgrade.made, *HISTORY)
    before = kept(upgrade.made, columns)
    assert all(before.values())
    upgrade.migrate(newer)
    assert kept(upgrade.made, columns) == before
    coming = upgrade.worker(newer, "third")
    upgrade.hand_over(leaving, held_from=4)
    upgrade.wait_for_calls(5)
    assert upgrade.is_at(staying, "Stays", JobState.REVIEWING)
    assert upgrade.is_at(coming, "Moves", JobState.CODING)
    upgrade.hand_over(coming, held_from=6)
    upgrade.wait_for_calls(6)
    assert upgrade.is_at(staying, "Moves", JobState.REVIEWING)
    model.release()
    upgrade.wait_for_pull_request("Moves")
    upgrade.order(newer, "Comes")
    upgrade.wait_for_pull_request("Comes")
    return staying


def _goes_back(upgrade: Upgrade) -> None:
    """The older version is started again, on the newer schema."""
    upgrade.order(upgrade.newer, "Goes back")
    if upgrade.older.level < FIRST_LEVEL:  # it does not ask what the schema fits
        refused = upgrade.begin(upgrade.older, "first", "worker")
        assert upgrade.ended(refused) == 1
        assert f"knows only up to {upgrade.older.level}" in refused.said()
        upgrade.worker(upgrade.newer, "first")
    else:
        upgrade.worker(upgrade.older, "first")
    upgrade.wait_for_pull_request("Goes back")
