"""Making the repository that a task's job works on: a copy of its own, so that nothing of the task is touched."""

import asyncio
import os
import shutil
from pathlib import Path

from aicd_brain.evals.values import EvalTask
from aicd_core.errors import InvalidInputError

BRANCH = "main"
IDENTITY = ("-c", "user.name=AI-CD evals", "-c", "user.email=evals@localhost", "-c", "commit.gpgsign=false")
EPOCH = "2026-01-01T00:00:00Z"
"""The date of the commit that files become: the same files have the same commit, whenever they are tried."""


async def make_repository(task: EvalTask, place: Path) -> Path:
    """The task's repository at `place`, with the base checked out as its only branch.

    Raises:
        InvalidInputError: code `bad_task`: git cannot make it.
    """
    if task.repository.is_dir() and not _is_git(task.repository):
        await asyncio.to_thread(shutil.copytree, task.repository, place)
        await _git(task, place, "init", "--quiet", f"--initial-branch={BRANCH}")
        await _git(task, place, "add", "--all", "--force")
        await _git(task, place, *IDENTITY, "commit", "--quiet", "--message", "The task's base")
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    await _git(task, place.parent, "clone", "--quiet", "--bare", "--", str(task.repository.absolute()), str(place))
    base = await _git(task, place, "rev-parse", "--verify", "--end-of-options", f"{task.base or 'HEAD'}^{{commit}}")
    await _git(task, place, "symbolic-ref", "HEAD", f"refs/heads/{BRANCH}")
    refs = await _git(task, place, "for-each-ref", "--format=%(refname)")
    for name in refs.splitlines():  # what came after the base may hold the solution
        await _git(task, place, "update-ref", "-d", name)
    await _git(task, place, "update-ref", f"refs/heads/{BRANCH}", base)
    return place


def _is_git(folder: Path) -> bool:
    return (folder / ".git").exists() or ((folder / "HEAD").is_file() and (folder / "objects").is_dir())


async def _git(task: EvalTask, place: Path, *arguments: str) -> str:
    """Runs git as nobody in particular: no one's configuration, no hooks, no prompts."""
    process = await asyncio.create_subprocess_exec(
        *("git", "-c", "core.hooksPath=/dev/null", "-C", str(place), *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={
            "PATH": os.environ.get("PATH", os.defpath),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_AUTHOR_DATE": EPOCH,
            "GIT_COMMITTER_DATE": EPOCH,
        },
    )
    try:
        out, complaint = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        said = complaint.decode("utf-8", "replace").strip()
        raise InvalidInputError(
            f"The repository of the task {task.id} ({task.repository}) cannot be made ready: {said}", code="bad_task"
        )
    return out.decode("utf-8", "replace").strip()
