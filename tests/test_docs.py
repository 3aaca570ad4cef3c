"""What the documents show works."""

import re
import sys
import types
from pathlib import Path

from aicd_core.jobs.machine import JobState
from conftest import Body
from histories import git

DOCS = Path(__file__).parents[1] / "docs"


async def test_the_agent_in_the_guide_opens_a_pull_request(body: Body, tmp_path: Path):
    (source,) = re.findall(r"```python\n(.*?)```", (DOCS / "writing-an-agent.md").read_text(), re.DOTALL)
    module = types.ModuleType("guide_agent")
    sys.modules[module.__name__] = module
    exec(compile(source, "writing-an-agent.md", "exec"), module.__dict__)
    body.agents = lambda name: module.MyAgent()
    root = tmp_path / "source"
    root.mkdir()
    git(root, "init", "-q")
    git(root, "commit", "-q", "--allow-empty", "-m", "Begin")
    report = await body.run(root, "Say hello")
    assert report.job.state is JobState.PR_OPEN
    assert git(root, "show", f"{report.job.branch}:HELLO.txt") == b"hello\n"


def test_every_link_of_the_readme_and_the_docs_leads_somewhere():
    for page in (DOCS.parent / "README.md", *DOCS.rglob("*.md")):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
