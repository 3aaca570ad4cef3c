"""Which words of `aicd restore` go together."""

from pathlib import Path

import pytest

from aicd_cli.commands.rewinding import Rewinding, rewind
from aicd_core.backups.restoring import Wanted
from aicd_core.errors import InvalidInputError
from aicd_core.settings import Settings

OWN = "postgresql://postgres@127.0.0.1:1/aicd"
AT = "2026-11-26T14:29:00Z"


@pytest.mark.parametrize(
    ("asked", "url", "code", "says"),
    [
        (Rewinding(AT, None, finish=False), OWN, "folder_missing", "--at TIME --into FOLDER"),
        (Rewinding(None, Path("laid"), finish=False), OWN, "options_apart", "goes with --at"),
        (Rewinding(AT, Path("laid"), finish=True), OWN, "options_apart", "--finish stands alone"),
        (Rewinding(None, None, finish=True), None, "options_apart", "AICD_MIGRATION_DATABASE_URL"),
        (Rewinding("soon", Path("laid"), finish=False), OWN, "bad_moment", "soon"),
    ],
)
async def test_what_does_not_go_together_is_refused(
    tmp_path: Path, asked: Rewinding, url: str | None, code: str, says: str
):
    settings = Settings(
        data_dir=tmp_path / "data",
        backup_repository=str(tmp_path / "none"),
        backup_password="x",
        migration_database_url=url,
    )
    with pytest.raises(InvalidInputError, match=says) as caught:
        await rewind(settings, Wanted(), asked, lambda _: None, as_json=False)
    assert caught.value.code == code
    assert not (tmp_path / "none").exists()
