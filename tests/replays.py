"""Jobs to be replayed, of agents that ask a model, for tests."""

from pathlib import Path

import pytest

from aicd_core.contracts import Change, ModelReply, ModelRequest, Usage
from aicd_core.testing.agents import ScriptedAgent
from histories import git, make_greeting

DIFFS = "Greet\n\n" + "\n".join(
    f"```diff\n--- a/greet.txt\n+++ b/greet.txt\n@@ -1 +1 @@\n-hello\n+hello {word}\n```\n"
    for word in ("moon", "world")
)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return make_greeting(tmp_path / "source")


def without_tests(source: Path) -> Path:
    (source / ".aicd.yml").write_text("version: 1\ntests: []\n")
    git(source, "commit", "-qam", "No tests")
    return source


async def asks(session, content: bytes, answer: bytes) -> bytes:
    async def send() -> ModelReply:
        return ModelReply(content=answer, usage=Usage(output_tokens=1))

    return (await session.journal.call(ModelRequest(model="m", content=content), send)).content


class Asking(ScriptedAgent):
    """Asks in `code` and does what the answer says; `question` and `summary` are what a new version changes."""

    question = b"what?"
    summary = "As told."
    swallows = False

    async def code(self, task, plan, feedback, workspace, session) -> Change:
        try:
            await workspace.write("new.txt", await asks(session, self.question, b"the answer"))
        except Exception:
            if not self.swallows:
                raise
            await workspace.write("new.txt", b"the answer")
        return Change(summary=self.summary)
