"""The systemd units are what systemd accepts, and leave the sandbox and a drain what they need."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from aicd_core.settings import Settings
from shown_commands import fault

UNITS = sorted((Path(__file__).parents[1] / "deploy/systemd").glob("*.service"))
OURS = [path for path in UNITS if path.stem != "aicd-proxy"]
"""Those that run `aicd`."""
BREAK_SANDBOXES = {
    "RestrictNamespaces",
    "ProtectProc",
    "ProcSubset",
    "ProtectKernelTunables",
    "ProtectKernelLogs",
    "PrivateDevices",
    "SystemCallFilter",
    "MemoryDenyWriteExecute",
}


def service(path: Path) -> dict[str, str]:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[method-assign, assignment]
    parser.read_string(path.read_text())
    return dict(parser["Service"])


def verify(path: Path) -> str:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("no systemd on this machine")
    done = subprocess.run([program, "verify", path], capture_output=True, text=True)
    return done.stdout + done.stderr


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_systemd_accepts_the_unit(path: Path, tmp_path: Path):
    place = tmp_path / path.name
    # Where there is no installation, its program is not there either.
    place.write_text(
        path.read_text().replace("/opt/aicd/venv/bin/aicd", "/bin/true").replace("/usr/sbin/nginx", "/bin/true")
    )
    assert verify(place) == ""
    place.write_text(place.read_text().replace("Restart=always", "Restart=often").replace("Type=oneshot", "Type=once"))
    assert "Failed to parse" in verify(place)


def test_a_worker_has_time_to_drain_and_may_make_sandboxes():
    (path,) = [path for path in UNITS if "worker" in path.stem]
    told = service(path)
    drain = re.search(r"--drain-timeout (\d+)", told["ExecStart"])
    assert drain
    assert int(told["TimeoutStopSec"]) > int(drain[1])
    assert told["KillMode"] == "mixed", "SIGTERM is for the worker alone: what it runs ends with its step"
    assert not BREAK_SANDBOXES & set(told)


def test_no_unit_is_root_or_has_a_secret_in_its_environment():
    for path in UNITS:
        told = service(path)
        assert told.get("User") == "aicd" or told["DynamicUser"] == "yes", path.name
        assert told["NoNewPrivileges"] == "yes", path.name
        assert told["CapabilityBoundingSet"] == ("" if path in OURS else "CAP_NET_BIND_SERVICE"), path.name
        assert not re.search(r"(URL|KEY|TOKEN)\w*=", told.get("Environment", "")), path.name


def test_units_run_commands_that_there_are_with_secrets_that_there_are():
    known = {f"aicd_{name}" for name in Settings.model_fields}
    for path in OURS:
        program, *arguments = service(path)["ExecStart"].split()
        assert program == "/opt/aicd/venv/bin/aicd"
        assert fault(["aicd", *arguments]) is None, path.name
        given = re.findall(r"^LoadCredential=(\w+):/etc/aicd/secrets/(\w+)$", path.read_text(), re.MULTILINE)
        assert given, path.name
        assert all(name == file and name in known for name, file in given), path.name


def test_backups_are_made_with_what_they_need_and_beside_the_workers_folder():
    (backup,) = [path for path in UNITS if "backup" in path.stem]
    (worker,) = [path for path in UNITS if "worker" in path.stem]
    assert {"aicd_backup_database_url", "aicd_backup_password", "aicd_backup_repository"} == set(
        re.findall(r"^LoadCredential=(\w+)", backup.read_text(), re.MULTILINE)
    )
    told = service(backup)
    assert told["ExecStart"].split()[1:4] == ["backup", "run", "--every"]
    for name in ("User", "Environment", "StateDirectory"):
        assert told[name] == service(worker)[name], "signing keys and recorded pull requests are in there"


def test_aicd_by_hand_says_why_it_does_not_run(tmp_path: Path):
    """systemd-run by itself ends without a word where the units' user may not go, and where a secret is missing."""
    (tmp_path / "bin").mkdir()

    def by_hand(**programs: str) -> tuple[int, str, str]:
        for name, does in programs.items():
            (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{does}\n")
            (tmp_path / "bin" / name).chmod(0o755)
        path = f"{tmp_path}/bin:/usr/bin:/bin"
        command = ["bash", str(UNITS[0].with_name("aicd")), "doctor"]
        done = subprocess.run(command, cwd=tmp_path, env={"PATH": path}, capture_output=True, text=True)
        return done.returncode, done.stdout.strip(), done.stderr

    started = "pwd; exit 3"
    assert by_hand(id="echo 0", runuser="exit 0", **{"systemd-run": started}) == (3, str(tmp_path), "")
    code, where, said = by_hand(runuser="exit 1")
    assert (code, where) == (3, "/")
    assert f"may not enter {tmp_path}" in said
    code, _, said = by_hand(**{"systemd-run": "exit 243"})
    assert code == 243
    assert "journalctl" in said
    code, _, said = by_hand(id="echo 1000")
    assert code == 2
    assert "sudo aicd doctor" in said
