"""An embedded Postgres that does not come up says why, and what to do."""

import errno
from pathlib import Path

import pytest

from aicd_core.db import embedded
from aicd_core.db.embedded import EmbeddedPostgres
from aicd_core.db.embedded_faults import setup_fault
from aicd_core.errors import UnavailableError

FAULTS = {
    "initdb: error: could not write to file: No space left on device": ("no_disk_space", "The disk of .* is full"),
    "initdb: error: could not look up effective user ID 1234: user does not exist": ("nameless_user", "/etc/passwd"),
    "initdb: error: out of luck": ("unavailable", "out of luck\nMend what it complains of, choose another place"),
}


@pytest.mark.parametrize("said", FAULTS)
def test_a_program_that_fails_is_told_in_words_of_use(said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    binaries = tmp_path / "package" / "install" / "bin"
    binaries.mkdir(parents=True)
    tmp_path.chmod(0o755)  # root runs the program as another user
    initdb = binaries / "initdb"
    initdb.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 1\n")
    initdb.chmod(0o755)
    monkeypatch.setattr(embedded, "binaries_dir", lambda: binaries)
    code, words = FAULTS[said]
    with pytest.raises(UnavailableError, match=words) as caught:
        EmbeddedPostgres(tmp_path / "postgres").start()
    assert caught.value.code == code


def test_a_disk_that_refuses_the_first_folder_is_full_too():
    fault = setup_fault(Path("/data"), OSError(errno.ENOSPC, "No space left on device"))
    assert (fault.code, "--data-dir" in fault.message) == ("no_disk_space", True)
    assert setup_fault(Path("/data"), OSError(errno.EROFS, "Read-only file system")).code == "unavailable"
