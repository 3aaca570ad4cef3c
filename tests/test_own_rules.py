"""The checker of our own rules finds what it is there to find."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "check_rules.py"


def check(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SCRIPT), str(root)], capture_output=True, text=True)


def plant(root: Path, name: str, source: str) -> Path:
    path = root / "packages" / "core" / "src" / "aicd_core" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    return path


@pytest.mark.parametrize(
    ("source", "rule"),
    [
        ("from sqlalchemy import select\n\nx = select(1)\n", "SQL (select) outside"),
        ("from sqlalchemy.dialects.postgresql import insert as put\n\nx = put(1)\n", "SQL (put) outside"),
        ("def f(c):\n    c.execute('SELECT 1')\n", "an SQL string outside"),
        ("def f(c):\n    c.execute(f'SELECT {c}')\n", "an SQL string outside"),
        ("async def f(session):\n    await session.commit()\n", "only Database.transaction() commits"),
        (
            "async def f(session):\n    async with session.begin():\n        pass\n",
            "only Database.transaction() commits",
        ),
        ("def f():\n    import os\n    return os\n", "an import hidden inside f()"),
    ],
)
def test_a_breach_is_named_with_its_place(tmp_path: Path, source: str, rule: str):
    path = plant(tmp_path, "orchestrator/thing.py", source)
    done = check(tmp_path)
    assert done.returncode == 1
    assert f"{path}:" in done.stdout
    assert rule in done.stdout


def test_sql_is_at_home_in_a_repository_and_a_commit_of_git_is_no_commit(tmp_path: Path):
    plant(tmp_path, "jobs/repository.py", "from sqlalchemy import select\n\nx = select(1)\n")
    plant(tmp_path, "jobs/publish.py", "async def f(checkout, request):\n    await checkout.commit(request)\n")
    plant(tmp_path, "jobs/words.py", "def f(select):\n    return select('text')\n")
    done = check(tmp_path)
    assert (done.returncode, done.stdout) == (0, "")


def test_sizes_are_reported_and_break_nothing(tmp_path: Path):
    plant(tmp_path, "long.py", "def f():\n" + "    x = 1\n" * 301)
    done = check(tmp_path)
    assert done.returncode == 0
    assert "302 lines" in done.stdout
    assert "f() has 302 lines" in done.stdout


def test_an_empty_tree_is_not_a_clean_one(tmp_path: Path):
    assert check(tmp_path).returncode == 1
