"""How the first owner and the first key come in: real commands on an embedded database."""

import os
import re
import signal
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from aicd_backend.bootstrap import make_first_key
from aicd_core.db.database import Database, SystemDatabase
from aicd_core.tenancy.api_keys.service import find_key
from aicd_core.tenancy.organizations.service import ensure_organization
from aicd_core.tenancy.permissions import Permission
from aicd_core.testing.databases import TestUrls

AICD = Path(__file__).parents[3] / ".venv" / "bin" / "aicd"
KEY = re.compile(r"aicd_key_[0-9A-Za-z]{8}_[0-9A-Za-z]{38}\n")
PATIENCE = 90.0


def aicd(urls: TestUrls, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([AICD, *arguments], env=environment(urls, folder), capture_output=True, text=True, timeout=90)


def environment(urls: TestUrls, folder: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "AICD_DATA_DIR": str(folder / "data"),
        "AICD_DATABASE_URL": urls.app,
        "AICD_SYSTEM_DATABASE_URL": urls.system,
    }


def test_the_first_owner_gets_a_key_that_works_on_a_server_and_there_is_no_second_one(
    database_urls: TestUrls, tmp_path: Path
) -> None:
    first = ("admin", "bootstrap", "--org", "acme", "--email", "ada@example.org", "--name", "Ada")
    made = aicd(database_urls, tmp_path, *first)
    assert made.returncode == 0, made.stderr
    assert KEY.fullmatch(made.stdout)
    for again in (first, (*first[:5], "eve@example.org")):
        refused = aicd(database_urls, tmp_path, *again)
        assert (refused.returncode != 0, refused.stdout) == (True, "")
        assert "acme has an owner already" in refused.stderr
        assert "aicd admin key --org acme" in refused.stderr
    another = aicd(database_urls, tmp_path, "admin", "key", "--org", "acme")
    assert (another.returncode, bool(KEY.fullmatch(another.stdout))) == (0, True), another.stderr
    assert another.stdout != made.stdout
    command = [AICD, "serve", "--port", "0"]
    with subprocess.Popen(
        command, env=environment(database_urls, tmp_path), stderr=subprocess.PIPE, text=True
    ) as served:
        try:
            assert served.stderr is not None
            address = next(found[0] for line in served.stderr if (found := re.search(r"http://127\.0\.0\.1:\d+", line)))
            for key in (made, another):
                headers = {"Authorization": f"Bearer {key.stdout.strip()}"}
                members = httpx.get(f"{address}/v1/organizations/acme/members", headers=headers)
                assert members.status_code == 200
            served.send_signal(signal.SIGTERM)
            served.stderr.read()
            assert served.wait(PATIENCE) == 0
        finally:
            served.kill()
    assert [(member["email"], member["role"]) for member in members.json()["items"]] == [("ada@example.org", "owner")]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--org", "No Slug", "--email", "ada@example.org"), "slug"),
        (("--org", "acme", "--email", "nobody"), "e-mail address"),
    ],
)
def test_a_bootstrap_that_cannot_be_is_told(
    arguments: tuple[str, ...], told: str, database_urls: TestUrls, tmp_path: Path
) -> None:
    done = aicd(database_urls, tmp_path, "admin", "bootstrap", *arguments)
    assert done.returncode != 0
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_another_key_is_made_for_an_organization_that_there_is(database_urls: TestUrls, tmp_path: Path) -> None:
    done = aicd(database_urls, tmp_path, "admin", "key", "--org", "nowhere")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no organization 'nowhere'" in done.stderr


async def test_only_the_first_start_makes_a_key(database: Database, system: SystemDatabase) -> None:
    now = datetime.now(UTC)
    async with system.write() as session:
        tenant = await ensure_organization(session, "local")
    token = await make_first_key(database, tenant, now)
    assert token is not None
    assert await make_first_key(database, tenant, now) is None
    found = await find_key(system.courier(), token.reveal(), now)
    assert (found.slug, found.key.scopes) == ("local", {permission.value for permission in Permission})
