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
        ("import sqlalchemy as sa\n\nx = sa.select(1)\n", "SQL (sa.select) outside"),
        ("import sqlalchemy\n\nx = sqlalchemy.text('SELECT 1')\n", "SQL (sqlalchemy.text) outside"),
        ("import sqlalchemy.sql\n\nx = sqlalchemy.sql.delete(1)\n", "SQL (sqlalchemy.sql.delete) outside"),
        ("from sqlalchemy import sql\n\nx = sql.update(1)\n", "SQL (sql.update) outside"),
        ("from sqlalchemy.dialects import postgresql as pg\n\nx = pg.insert(1)\n", "SQL (pg.insert) outside"),
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


HEAD = """from sqlalchemy import delete, insert, select, update

from aicd_core.db.sessions import AccountsSession, ReadSession, SystemSession, WriteSession
from aicd_core.jobs.models import Artifact, Job
from aicd_core.tenancy import Tenant, mine


"""


@pytest.mark.parametrize(
    ("source", "rule"),
    [
        (
            "async def f(session: ReadSession, tenant: Tenant):\n    return select(Job)\n",
            "f() asks for Job without mine",
        ),
        (
            "async def f(session: ReadSession, tenant: Tenant):\n    return select(Job.id).where(Job.id == 1)\n",
            "f() asks for Job without mine(Job, tenant)",
        ),
        (
            "async def f(s: ReadSession, tenant: Tenant):\n    return select(Job, Artifact).where(mine(Job, tenant))\n",
            "f() asks for Artifact without mine",
        ),
        (
            "async def f(s: ReadSession, tenant: Tenant):\n    x = mine(Job, tenant)\n    select(Job).join(Artifact)\n",
            "f() asks for Artifact without mine",
        ),
        ("async def f(session: WriteSession, tenant: Tenant):\n    return update(Job)\n", "asks for Job without mine"),
        ("async def f(session: WriteSession, tenant: Tenant):\n    return delete(Job)\n", "asks for Job without mine"),
        ("async def f(session: WriteSession, tenant: Tenant):\n    return insert(Job)\n", "inserts without org_id"),
        ("async def f(session: ReadSession):\n    return select(Job)\n", "f() takes no Tenant"),
        ("def f():\n    return select(Job)\n", "f() takes no Tenant"),
    ],
)
def test_a_query_that_is_not_confined_to_a_tenant_is_a_breach(tmp_path: Path, source: str, rule: str):
    plant(tmp_path, "jobs/repository.py", HEAD + source)
    done = check(tmp_path)
    assert done.returncode == 1
    assert rule in done.stdout


@pytest.mark.parametrize(
    "source",
    [
        "async def f(session: ReadSession, tenant: Tenant):\n    return select(Job).where(mine(Job, tenant))\n",
        "async def f(session: WriteSession, tenant: Tenant):\n    return insert(Job).values(org_id=tenant.org_id)\n",
        "async def f(s: WriteSession, tenant: Tenant):\n    insert(Artifact).from_select([], x(mine(Job, tenant)))\n",
        "def f(tenant: Tenant):\n    select(Job).where(_g(tenant))\n\n\ndef _g(t: Tenant):\n    mine(Job, t)\n",
        "def _g(tenant: Tenant):\n    return mine(Job, tenant)\n",
        "async def f(session: SystemSession):\n    return select(Job)\n",
        "async def f(session: AccountsSession):\n    return select(Job)\n",
    ],
)
def test_a_confined_query_and_one_of_the_system_are_none(tmp_path: Path, source: str):
    plant(tmp_path, "jobs/repository.py", HEAD + source)
    assert check(tmp_path).stdout == ""
