"""`--json` on every command that prints a result, and completion in the shell: the whole tree of commands."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from aicd_cli.main import app
from shops import AICD, ISSUE, Shop, shop

__all__ = ["shop"]
WITHOUT = {
    "worker": "runs until it is stopped",
    "up": "runs until it is stopped; its first start shows a key alone",
    "serve": "runs until it is stopped",
    "github serve": "runs until it is stopped",
    "openapi": "what it prints is JSON",
    "policy show": "what it prints is JSON",
    "org export": "what it prints is JSON Lines",
}


def commands(at: TyperGroup | TyperCommand, path: tuple[str, ...] = ()) -> Iterator[tuple[str, TyperCommand]]:
    """Every command with its name, groups left out."""
    if not isinstance(at, TyperGroup):
        yield " ".join(path), at
        return
    for name, below in at.commands.items():
        yield from commands(below, (*path, name))


def test_every_command_that_prints_a_result_prints_it_as_json():
    lacking = {
        name
        for name, command in commands(get_command(app))
        if not any("--json" in parameter.opts for parameter in command.params)
    }
    assert lacking <= WITHOUT.keys(), "give it `as_json: AsJson`, or say in WITHOUT why it has none"
    known = dict(commands(get_command(app)))
    assert {name for name in WITHOUT if name in known} <= lacking, "take what has --json out of WITHOUT"


def test_stdout_is_exactly_one_json_value(shop: Shop, tmp_path: Path):
    job = json.loads(shop.run("run", "--issue", ISSUE, "--json").stdout)["job_id"]
    rules = tmp_path / "rules.json"
    rules.write_text(shop.run("policy", "show").stdout)
    assert json.loads(rules.read_text())["max_files"]
    keys = {"AICD_SECRET_KEYS": "k1:" + "A" * 43 + "="}
    lines = shop.run("logs", job, "--json").stdout.splitlines()  # as its help says, an object on each line
    assert {json.loads(line)["kind"] for line in lines} >= {"event", "command"}
    cassette = tmp_path / "job.jsonl"
    exported = json.loads(shop.run("journal", "export", job, "--to", str(cassette), "--json").stdout)
    assert exported == {"file": str(cassette), "lines": len(cassette.read_text().splitlines()), "replayable": True}
    for arguments in (
        ("demo", "--dir", str(tmp_path / "demo")),
        ("jobs",),
        ("keys", "rotate"),
        ("org", "triggers"),
        ("org", "reencrypt"),
        ("policy", "publish", str(rules)),
        ("cancel", "01a20a19-b883-7345-9527-cba0433a3c7f"),
        ("jobs", "--no-such-option"),
    ):
        done = shop.run(*arguments, "--json", env=keys)
        try:
            found = json.loads(done.stdout)
        except ValueError:
            pytest.fail(f"{arguments}: {done.stdout!r}, {done.stderr}")
        assert isinstance(found, dict), arguments
        assert (done.returncode == 0) is not ({"job_id", "state", "code", "reason"} == found.keys()), arguments


def test_the_shell_completes_ids_of_jobs(shop: Shop, tmp_path: Path):
    job = json.loads(shop.run("run", "--issue", ISSUE, "--json").stdout)["job_id"]
    typed = f"aicd {{command}} --data-dir {tmp_path / '{place}'} {{begun}}"

    def completed(command: str, begun: str, *, place: str = "data", **environment: str) -> list[str]:
        words = typed.format(command=command, begun=begun, place=place)
        asked = {"_AICD_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
        told = {"PATH": shop.environment()["PATH"], "HOME": str(tmp_path), **environment, **asked}
        done = subprocess.run([AICD], env=told, capture_output=True, text=True, timeout=120)
        assert done.stderr == ""
        return done.stdout.split()

    assert completed("journal export", job[:9], **shop.environment()) == [job]
    of_jobs = {
        name: parameter._custom_shell_complete  # of click's, which has no public name for it
        for name, command in commands(get_command(app))
        for parameter in command.params
        if parameter.metavar == "JOB"
    }
    assert len(of_jobs) >= 7
    assert None not in of_jobs.values(), "say JobArgument"
    assert completed("show", job[:9], place="gone") == []
    assert not (tmp_path / "gone").exists(), "no database is begun for it"
    assert completed("show", job[:9], AICD_DATABASE_URL="postgresql://127.0.0.1:1/x") == []


def test_the_shell_completes_commands_and_options(tmp_path: Path):
    told = {"PATH": f"{AICD.parent}:/usr/bin:/bin", "HOME": str(tmp_path)}

    def bash(script: str) -> str:
        done = subprocess.run(["bash", "-c", script], env=told, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "complete -o default -F _aicd_completion aicd" in bash("aicd --show-completion; true")
    bash("aicd --install-completion; true")
    assert (tmp_path / ".bashrc").is_file()
    complete = "source ~/.bashrc; COMP_WORDS=({words}); COMP_CWORD={at}; _aicd_completion aicd; echo ${{COMPREPLY[@]}}"
    assert {"jobs", "journal"} <= set(bash(complete.format(words="aicd jo", at=1)).split())
    assert "--issue-file" in bash(complete.format(words="aicd run --iss", at=2)).split()
