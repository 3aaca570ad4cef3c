"""A repository and a data directory that the real `aicd` is run on, for tests."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from aicd_core.testing.databases import TestUrls
from histories import git

AICD = Path(sys.executable).with_name("aicd")
SECONDS = 10_000 + os.getpid() % 50_000
"""How long the endless tests sleep; another number in each test process, so that its own sleeps can be told."""
ISSUE = "Greet the world\n\n```diff\n--- a/greet.txt\n+++ b/greet.txt\n@@ -1 +1 @@\n-hello\n+hello world\n```\n"


@dataclass
class Shop:
    """A source repository and a data directory, and the way to run `aicd` on them."""

    source: Path
    data: Path
    urls: TestUrls

    def command(self, *arguments: str, repo: str | None = None) -> list[str]:
        where = ("--repo", repo or str(self.source)) if arguments[0] == "run" else ()
        return [str(AICD), *arguments, *where, "--data-dir", str(self.data)]

    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.data.parent),
            "AICD_DATABASE_URL": self.urls.app,
            "AICD_SYSTEM_DATABASE_URL": self.urls.system,
        }

    def run(self, *arguments: str, repo: str | None = None, **options) -> subprocess.CompletedProcess[str]:
        environment = self.environment() | options.pop("env", {})
        return subprocess.run(
            self.command(*arguments, repo=repo), env=environment, capture_output=True, text=True, timeout=120, **options
        )

    def issue(self, text: str | bytes) -> str:
        path = self.data.parent / "issue.md"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return str(path)

    def fingerprint(self) -> dict[str, bytes]:
        """Everything of the user's that a job must not touch."""
        return {
            str(path.relative_to(self.source)): path.read_bytes()
            for path in sorted(self.source.rglob("*"))
            if path.is_file() and not re.search(r"/objects/|/refs/heads/aicd/", str(path))
        }


@pytest.fixture
def shop(tmp_path: Path, database_urls: TestUrls) -> Shop:
    source = tmp_path / "source"
    source.mkdir()
    git(source, "init", "-q")
    (source / ".aicd.yml").write_text("version: 1\ntests: ['grep -q world greet.txt']\n")
    (source / "greet.txt").write_text("hello\n")
    git(source, "add", ".")
    git(source, "commit", "-qm", "Begin")
    return Shop(source, tmp_path / "data", database_urls)


def issue_with(diff: str) -> str:
    return f"Title\n\n```diff\n{diff}```\n"


def slow(shop: Shop, seconds: int = SECONDS) -> None:
    (shop.source / ".aicd.yml").write_text(f"version: 1\ntests: ['sleep {seconds} & sleep {seconds}']\n")
    git(shop.source, "commit", "-qam", "Slow tests")


def start(shop: Shop) -> subprocess.Popen[str]:
    return subprocess.Popen(
        shop.command("run", "--issue", ISSUE, "--json"),
        env=shop.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def start_and_wait_for(shop: Shop, line: str) -> subprocess.Popen[str]:
    process = start(shop)
    assert process.stderr is not None
    while line not in (said := process.stderr.readline()):
        assert said, "the process ended before it came to the line"
    return process
