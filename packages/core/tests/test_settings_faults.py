"""A setting that cannot be read is told as one that is wrong: which, and what to do; no defect, and never its value."""

from pathlib import Path

import pytest

from aicd_core.errors import InvalidInputError
from aicd_core.settings import Settings


def fault(monkeypatch: pytest.MonkeyPatch, folder: Path) -> str:
    """What loading the settings says, with the secret files of a folder."""
    monkeypatch.setenv("AICD_SECRETS_DIR", str(folder))
    with pytest.raises(InvalidInputError) as raised:
        Settings.load()
    assert raised.value.code == "bad_setting"
    return str(raised.value)


def test_a_secret_file_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refused(path: Path, *_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied", str(path))  # which no file is to root, as whom tests may run

    (tmp_path / "aicd_database_url").write_text("postgresql://nobody@localhost/aicd")
    monkeypatch.setattr(Path, "read_text", refused)
    assert "A secret file cannot be read" in (told := fault(monkeypatch, tmp_path))
    assert "AICD_SECRETS_DIR" in told


def test_a_secret_file_that_is_no_text_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "aicd_database_url").write_bytes(b"\xff\xfe")
    assert fault(monkeypatch, tmp_path).endswith("The secret file of AICD_DATABASE_URL is not UTF-8. Mend the file.")


def test_a_list_that_is_no_json_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AICD_BACKUP_ALSO", "/etc/hunter2")
    assert "AICD_BACKUP_ALSO is not JSON" in (told := fault(monkeypatch, tmp_path))
    assert "hunter2" not in told
