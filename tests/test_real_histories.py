"""An issue made of a commit's message and diff, run on its parent, gives a branch with exactly that commit's tree."""

from pathlib import Path

import pytest

from aicd_core.jobs.machine import JobState
from conftest import Body
from histories import HISTORIES, git, issue_of, make_history

CHANGES = [(shape, number) for shape, steps in HISTORIES.items() for number in range(len(steps))]


def test_there_are_at_least_thirty_commits_of_three_shapes():
    assert len(HISTORIES) >= 3
    assert len(CHANGES) >= 30


@pytest.mark.parametrize("shape", HISTORIES)
async def test_every_commit_of_a_history_comes_out_tree_for_tree(shape: str, body: Body, tmp_path: Path):
    source = tmp_path / shape
    commits = make_history(source, HISTORIES[shape])
    for number, commit in enumerate(commits):
        base = f"base-{number}"
        git(source, "branch", base, f"{commit}^")
        report = await body.run(source, issue_of(source, commit), base=base)
        assert report.job.state is JobState.PR_OPEN, (HISTORIES[shape][number].message, report.job.reason)
        assert report.pull_request is not None
        assert git(source, "rev-parse", f"{report.job.branch}^{{tree}}") == git(
            source, "rev-parse", f"{commit}^{{tree}}"
        ), HISTORIES[shape][number].message
        assert git(source, "rev-parse", f"{report.job.branch}^") == git(source, "rev-parse", f"{commit}^")
        assert report.pull_request.base_branch == base
