"""What the documents show works."""

import json
import re
import sys
import types
from pathlib import Path

from aicd_cli.sample import ISSUE, make_sample
from aicd_cli.views import describe
from aicd_core.jobs.machine import JobState
from conftest import Body
from histories import git

DOCS = Path(__file__).parents[1] / "docs"
README = (DOCS.parent / "README.md").read_text()
SECONDS = re.compile(r"\d+\.\d s$")


def guide() -> types.ModuleType:
    """The agents in the guide, as one module."""
    module = types.ModuleType("guide_agent")
    sys.modules[module.__name__] = module
    for source in re.findall(r"```python\n(.*?)```", (DOCS / "writing-an-agent.md").read_text(), re.DOTALL):
        exec(compile(source, "writing-an-agent.md", "exec"), module.__dict__)
    return module


def empty_repository(root: Path) -> Path:
    root.mkdir()
    git(root, "init", "-q")
    git(root, "commit", "-q", "--allow-empty", "-m", "Begin")
    return root


async def test_the_agent_in_the_guide_opens_a_pull_request(body: Body, tmp_path: Path):
    module = guide()
    body.agents = lambda name: module.MyAgent()
    root = empty_repository(tmp_path / "source")
    report = await body.run(root, "Say hello")
    assert report.job.state is JobState.PR_OPEN
    assert git(root, "show", f"{report.job.branch}:HELLO.txt") == b"hello\n"


async def test_the_issue_of_the_readme_can_be_carried_out(body: Body, tmp_path: Path):
    (issue,) = re.findall(r"````markdown\n(.*?)````\n", README, re.DOTALL)
    source = make_sample(tmp_path / "sample")
    (source / ".aicd.yml").write_text("tests: []\n")
    git(source, "commit", "-qam", "No tests")
    report = await body.run(source, issue)
    assert report.job.state is JobState.PR_OPEN, report.job.reason


async def test_a_run_prints_what_the_readme_shows(body: Body, tmp_path: Path):
    shown = [SECONDS.sub("", line) for line in re.findall(r"^\[ +\d+\.\d\d\] (.*)$", README, re.MULTILINE)]
    await body.run(make_sample(tmp_path / "sample"), ISSUE)
    printed = iter([SECONDS.sub("", describe(progress)) for progress in body.seen])
    assert shown
    for line in shown:
        assert any(said.startswith(line.removesuffix("…")) for said in printed), f"no run says {line!r} there"


async def test_the_agent_in_the_guide_that_calls_a_model_goes_on_from_its_checkpoints(body: Body, tmp_path: Path):
    module, asked = guide(), []
    answers = [{"done": False, "path": "HELLO.txt", "text": text} for text in ("hello\n", "hello, world\n")]

    async def call_model(content: bytes) -> tuple[bytes, int]:
        asked.append(json.loads(content))
        if len(asked) == 2:
            raise ConnectionError("cut off")
        return json.dumps([*answers, {"done": True}][len(asked[-1]) // 2]).encode(), 10

    module.call_model = call_model
    body.agents = lambda name: module.MyModelAgent()
    root = empty_repository(tmp_path / "source")
    assert (await body.run(root, "Say hello")).job.code == "agent_error"
    module.call_model = call_model
    report = await body.run(root, "Say hello")
    assert report.job.state is JobState.PR_OPEN
    assert [len(messages) for messages in asked] == [1, 3, 1, 3, 5]
    assert git(root, "show", f"{report.job.branch}:HELLO.txt") == b"hello, world\n"
    assert (report.usage.output_tokens, report.usage.cost_micro_usd) == (30, 450)


def test_every_link_of_the_readme_and_the_docs_leads_somewhere():
    for page in (DOCS.parent / "README.md", *DOCS.rglob("*.md")):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
