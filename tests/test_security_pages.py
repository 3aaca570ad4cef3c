"""SECURITY.md names tests that exist, docs/secrets.md every secret, and its commands do what it says."""

import ast
import re
import subprocess
import sys
import typing
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from aicd_core.db.database import Database
from aicd_core.db.embedded import binaries_dir
from aicd_core.errors import UnavailableError
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.audit.models import ActorKind
from aicd_core.tenancy.audit.values import Actor
from aicd_core.tenancy.secrets import service as secrets
from aicd_core.tenancy.secrets.keyring import Keyring
from aicd_core.testing.databases import TestUrls
from settings_classes import settings_classes

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "docs" / "secrets.md").read_text()
SECURITY_PAGES = [
    ROOT / "SECURITY.md",
    *(page for part in ("apps", "packages") for page in (ROOT / part).glob("*/SECURITY.md")),
]
NAMED_TEST = re.compile(r"`(test_\w+\.py)(?:::(test_\w+))?`")


def known_tests() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for path in (*ROOT.glob("*/*/tests/test_*.py"), *(ROOT / "tests").glob("test_*.py")):
        kinds = ast.FunctionDef | ast.AsyncFunctionDef
        found[path.name] = {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds)}
    return found


@pytest.mark.parametrize(
    "page", [*SECURITY_PAGES, ROOT / "docs" / "secure-coding.md"], ids=lambda page: page.parent.name
)
def test_every_test_that_a_security_page_names_exists(page: Path):
    there = known_tests()
    named = NAMED_TEST.findall(page.read_text())
    assert len(named) > 3
    for file, test in named:
        assert file in there, f"{page} names {file}"
        assert not test or test in there[file], f"{page} names {file}::{test}"


@pytest.mark.parametrize("page", SECURITY_PAGES, ids=lambda page: page.parent.name)
def test_every_threat_has_a_wall_and_a_test(page: Path):
    table = re.split(r"\| threat \| wall \| test \|\n\| --- \| --- \| --- \|\n", page.read_text())[1]
    rows = [line for line in table.split("\n\n")[0].splitlines() if line]
    assert len(rows) >= 3
    for row in rows:
        _, threat, wall, tests, _ = row.split("|")
        assert threat.strip()
        assert wall.strip()
        assert "::" in tests, f"{page}: no test for {threat}"


def secret_variables() -> set[str]:
    """Variables of every settings class that hold a secret, or a URL that has a password in it."""
    found = set()
    for kind in settings_classes(ROOT.glob("*/*/src/*/**/settings.py")):
        for name, field in kind.model_fields.items():
            secret = field.annotation is SecretStr or SecretStr in typing.get_args(field.annotation)
            if secret or name.endswith(("database_url", "redis_url")):
                found.add(f"AICD_{name.upper()}")
    return found


def test_every_secret_is_in_the_guide_with_its_replacement():
    rows = {row.split("|")[1].strip(): row.split("|") for row in GUIDE.splitlines() if row.startswith("| `AICD_")}
    wanted = secret_variables()
    assert "AICD_SIGNING_KEYS" in wanted
    for variable in wanted:
        assert f"`{variable}`" in rows, f"docs/secrets.md has no row for {variable}"
    sections = {
        re.sub(r"[^a-z -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^## (.*)$", GUIDE, re.MULTILINE)
    }
    for row in rows.values():
        assert len(row) == 6
        assert all(cell.strip() for cell in row[1:5])
        assert set(re.findall(r"\(#([^)]+)\)", row[4])) <= sections


def commands(section: str) -> list[str]:
    """The shell's lines of a section of the guide, block by block."""
    text = GUIDE.split(f"## {section}\n")[1].split("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", text, re.DOTALL)


def shell(script: str, **environment: str) -> str:
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    done = subprocess.run(
        ["bash", "-euc", script], env={"PATH": path, **environment}, capture_output=True, text=True, timeout=250
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


async def test_the_key_of_tenants_secrets_is_replaced_as_the_guide_says(
    database: Database, database_urls: TestUrls, tenant: Tenant, tmp_path: Path
):
    first = shell('echo "k1:$(head -c 32 /dev/urandom | base64)"').strip()
    async with database.write(tenant) as session:
        await secrets.put(
            session, tenant, Actor(ActorKind.SYSTEM, "test"), Keyring.parse(first), "MODEL_KEY", "hush", revision=0
        )
    script = "\n".join([*commands("The key of tenants' secrets"), 'echo "newest=$AICD_SECRET_KEYS"'])
    said = shell(
        script,
        AICD_SECRET_KEYS=first,
        AICD_DATABASE_URL=database_urls.app,
        AICD_SYSTEM_DATABASE_URL=database_urls.system,
        AICD_DATA_DIR=str(tmp_path / "data"),
        HOME=str(tmp_path),
    )
    newest = said.partition("newest=")[2].strip()
    assert "," not in newest
    async with database.read(tenant) as session:
        assert await secrets.get(session, tenant, Keyring.parse(newest), "MODEL_KEY") == "hush"
        with pytest.raises(UnavailableError):
            await secrets.get(session, tenant, Keyring.parse(first), "MODEL_KEY")


def test_the_key_of_evidence_is_replaced_as_the_guide_says(tmp_path: Path):
    of_file, of_variable = commands("The key of evidence")
    home = {"AICD_DATA_DIR": str(tmp_path / "data"), "HOME": str(tmp_path)}
    before = shell("aicd keys rotate >/dev/null; aicd keys show", **home).split()
    after = shell(of_file.replace("aicd keys rotate", "aicd keys rotate >/dev/null"), **home).split()
    assert after[0] != before[0]
    assert before[0] in after
    old = shell('echo "s1:$(head -c 32 /dev/urandom | base64)"').strip()
    shown = shell(of_variable, AICD_SIGNING_KEYS=old, **home).split()
    ids = [line.partition(":")[0] for line in shown]
    assert ids[1] == "s1"
    assert ids[0] != "s1"


def test_a_databases_password_is_replaced_as_the_guide_says(database_urls: TestUrls):
    (block,) = commands("A database's password")
    programs = binaries_dir()
    with psycopg.connect(database_urls.admin, autocommit=True) as connection:
        try:
            script = f'PATH="{programs}:$PATH"; {block}'
            shell(script, AICD_MIGRATION_DATABASE_URL=database_urls.admin, NEW_PASSWORD="of-this-test")
            kept = connection.execute("SELECT rolpassword FROM pg_authid WHERE rolname = 'aicd_app'").fetchone()
            assert kept is not None
            assert kept[0].startswith("SCRAM-SHA-256$")
        finally:
            connection.execute("ALTER ROLE aicd_app PASSWORD NULL")
