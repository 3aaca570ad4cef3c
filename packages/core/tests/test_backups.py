"""Which backup is meant, and which is refused."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from aicd_core.backups.restic import Snapshot
from aicd_core.backups.restoring import Wanted, choose, require_replaceable
from aicd_core.backups.targets import Standing
from aicd_core.backups.values import FORMAT, Dump, Manifest, Stored
from aicd_core.backups.wal import WAL_TAG, reach
from aicd_core.errors import AicdError

OURS, THEIRS = UUID(int=1), UUID(int=2)
WHEN = datetime(2026, 11, 26, tzinfo=UTC)
BACKUPS = [
    Stored("aaaa0001", OURS, WHEN, "0017"),
    Stored("aaaa0002", OURS, WHEN + timedelta(days=1), "0017"),
    Stored("bbbb0001", THEIRS, WHEN + timedelta(days=2), "0017"),
]


def outcome(call: Callable[[], str | None]) -> str | None:
    """What a call returns, or the code of its error."""
    try:
        return call()
    except AicdError as error:
        return error.code


@pytest.mark.parametrize(
    ("wanted", "standing", "found"),
    [
        (Wanted(), Standing(filled=True, installation=OURS), "aaaa0002"),
        (Wanted(installation=THEIRS), None, "bbbb0001"),
        (Wanted(installation=THEIRS), Standing(filled=True, installation=OURS), "bbbb0001"),
        (Wanted("aaaa0001"), None, "aaaa0001"),
        (Wanted("bbbb"), Standing(filled=False, installation=OURS), "bbbb0001"),
        (Wanted("aaaa"), None, "no_such_backup"),
        (Wanted(""), None, "no_such_backup"),
        (Wanted("cccc"), None, "no_such_backup"),
        (Wanted(), None, "foreign_backup"),
        (Wanted(), Standing(filled=False, installation=OURS), "foreign_backup"),
        (Wanted("bbbb0001"), Standing(filled=True, installation=OURS), "foreign_backup"),
        (Wanted(installation=UUID(int=3)), None, "no_such_backup"),
    ],
)
def test_the_backup_that_is_meant(wanted: Wanted, standing: Standing | None, found: str):
    assert outcome(lambda: choose(BACKUPS, wanted, standing).id) == found


@pytest.mark.parametrize(
    ("standing", "replace", "code"),
    [
        (None, None, None),
        (Standing(filled=False, installation=OURS), None, None),
        (Standing(filled=True, installation=OURS), None, "database_not_empty"),
        (Standing(filled=True, installation=OURS), "aicd", None),
        (Standing(filled=True, installation=OURS), "other", "wrong_name"),
        (None, "other", "wrong_name"),
    ],
)
def test_a_database_with_work_in_it_is_replaced_only_by_name(
    standing: Standing | None, replace: str | None, code: str | None
):
    assert outcome(lambda: require_replaceable("aicd", standing, Wanted(replace=replace))) == code


@pytest.mark.parametrize(("change", "code"), [({"revision": "0018"}, "too_new"), ({"format": FORMAT + 1}, "too_new")])
def test_a_backup_of_newer_code_is_refused(change: dict[str, object], code: str):
    manifest = Manifest(
        format=FORMAT,
        product="1",
        installation=OURS,
        revision="0017",
        taken_at=WHEN,
        postgres="18.4",
        tables={"jobs": 1},
        dump=Dump(sha256="0" * 64, size=1),
    )
    assert Manifest.parse(manifest.model_dump_json().encode(), "0017") == manifest
    with pytest.raises(AicdError) as caught:
        Manifest.parse(manifest.model_copy(update=change).model_dump_json().encode(), "0017")
    assert caught.value.code == f"backup_{code}"
    with pytest.raises(AicdError) as caught:
        Manifest.parse(b"{}", "0017")
    assert caught.value.code == "backup_damaged"


def test_a_log_of_a_version_before_reaches_to_when_it_was_shipped():
    shipped = Snapshot("1" * 64, "1" * 8, datetime(2026, 11, 26, 14, 29, tzinfo=UTC), (WAL_TAG, "base=2"))
    assert reach(shipped) == shipped.time
    until = shipped.time + timedelta(milliseconds=250)
    assert reach(replace(shipped, tags=(*shipped.tags, f"until={until.isoformat()}"))) == until
