"""What the documents of the API server and the Brain say, typed: at a model, a Stripe and logins on this machine."""

import contextlib
import io
import json
import re
import urllib.request
from pathlib import Path

import httpx
import pytest

from aicd_backend.testing.providers import CLIENT_SECRET, serving_oidc
from aicd_backend.testing.stripe import customers
from aicd_brain.testing.jobs import APPROVE
from aicd_brain.testing.models import serving
from aicd_brain.testing.qdrant import KEY as QDRANT_KEY
from aicd_brain.testing.qdrant import qdrant_server
from aicd_brain.testing.turns import done, planning, script, using
from aicd_core.testing.databases import TestUrls
from aicd_core.testing.redis import free_port
from docs_reader import ROOT, Reader, environment_of, sample_project
from histories import git
from shown_commands import BLOCK

KEY = re.compile(r"^aicd_\S+$", re.MULTILINE)
SPLIT = using(
    "replace",
    path="slugify.py",
    old='title.lower().replace(" ", "-")',
    new='"-".join("".join(c for c in title.lower() if c.isalnum() or c == " ").split())',
)
SOLVED = script([[planning("slugify.py")]], [[SPLIT, done(), done()]], [APPROVE])

pytestmark = pytest.mark.timeout(1200)


def shown(page: str, kind: str) -> str:
    """The first block of that kind on a page."""
    return next(found["text"] for found in BLOCK.finditer((ROOT / page).read_text()) if found["kind"] == kind)


@pytest.fixture
def reader(tmp_path: Path, database_urls: TestUrls) -> Reader:
    environment = environment_of(
        tmp_path,
        AICD_DATA_DIR=str(tmp_path / "data"),
        AICD_DATABASE_URL=database_urls.app,
        AICD_SYSTEM_DATABASE_URL=database_urls.system,
    )
    return Reader(tmp_path, environment)


def test_up_is_a_console_and_takes_payments(reader: Reader, tmp_path: Path) -> None:
    port, stripe = free_port(), free_port()
    reader.standing_in = {
        "/tmp/trying": str(tmp_path / "data"),
        ":12111": f":{stripe}",
        "--port 8080": "",
        "aicd up": f"aicd up --port {port}",
        ":8080": f":{port}",
    }
    with reader.running("docs/console.md", "aicd up", [f"listening on http://127.0.0.1:{port}"]) as (up,):
        reader.environment["KEY"] = up.wait_for(KEY.pattern.replace("^", "(?m)^"))[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/login", timeout=60) as answer:
            assert b"API key" in answer.read()
    python = {}
    text = shown("docs/billing.md", "python").replace("12111", str(stripe)).replace("8080", str(port))
    exec(compile(text, "billing.md", "exec"), python)
    try:
        with reader.running("docs/billing.md", "export AICD_DATA_DIR", ["listening"]):
            told = reader.run("docs/billing.md", "curl -d")
            assert "per_pull_request" not in told.partition("\n")[2]
            customers.complete_checkout(python["books"], re.search(r"cs_test_\w+", told)[0])
            with contextlib.redirect_stdout(io.StringIO()) as answers:
                python["deliver"]()
            assert answers.getvalue()
    finally:
        python["served"].__exit__(None, None, None)


def test_a_server_that_people_log_in_at(reader: Reader, tmp_path: Path, database_urls: TestUrls) -> None:
    port = free_port()
    for name in ("github_login", "acme_login"):
        (tmp_path / name).write_text(CLIENT_SECRET)
    callback = "https://api.example.com/v1/auth/acme/callback"
    with serving_oidc(ROOT, {}, [callback]) as issuer:
        reader.standing_in = {
            "postgresql://aicd_app:…@db/aicd": f"'{database_urls.app}'",
            "postgresql://aicd_system:…@db/aicd": f"'{database_urls.system}'",
            "/run/secrets": str(tmp_path),
            "https://login.acme.example/realms/staff": issuer,
            "curl https://api.example.com": f"curl http://127.0.0.1:{port}",
            "--port 8080": f"--port {port}",
            "bootstrap --org": f"bootstrap >{tmp_path}/key --org",
        }
        reader.run("docs/login.md", "export AICD_PUBLIC_URL")
        with reader.running("apps/backend/README.md", "export AICD_DATABASE_URL", ["listening"]):
            url = f"http://127.0.0.1:{port}/v1"
            providers = httpx.get(f"{url}/auth/providers", timeout=60).json()
            assert [each["label"] for each in providers] == ["GitHub", "Acme"]
            another = KEY.search(reader.run("docs/console.md", "aicd admin key --org acme"))
            assert another
            assert (
                httpx.get(f"{url}/me", headers={"Authorization": f"Bearer {another[0]}"}, timeout=60).status_code == 200
            )
            assert httpx.get(f"{url}/auth/acme/login", timeout=60).headers["Location"].startswith(issuer)
            key = KEY.search((tmp_path / "key").read_text())[0]
            reader.environment |= {"API_KEY": key, "KEY_ID": key.split("_")[2]}
            token = json.loads(reader.run("docs/login.md", "curl "))
            assert set(token) == set(json.loads(shown("docs/login.md", "json")))
            jobs = httpx.get(
                f"{url}/organizations/acme/jobs", headers={"Authorization": f"Bearer {token['access_token']}"}
            )
            assert jobs.status_code == 200, jobs.text


def test_a_model_works_and_is_measured(reader: Reader, tmp_path: Path) -> None:
    reader.folder = sample_project(tmp_path)
    with serving(SOLVED, tmp_path / "model") as model:
        reader.environment["AICD_ANTHROPIC_BASE_URL"] = model.url
        reader.standing_in = {
            "http://127.0.0.1:11434": model.url,
            "packages/proprietary-ai": f"{ROOT}/packages/proprietary-ai",
            "evals/tasks": "evals/tasks --only shell-backup-names",
            "AICD_ANTHROPIC_API_KEY=…": "AICD_ANTHROPIC_API_KEY=sk-ant-stand-in",
        }
        assert "Pull request open" in reader.run("docs/bring-your-model.md", "export AICD_ANTHROPIC_API_KEY")
        (reader.folder / "prices.toml").write_text(shown("docs/bring-your-model.md", "toml"))
        assert "Pull request open" in reader.run("docs/bring-your-model.md", "export AICD_OPENAI_BASE_URL")
        assert {one.model for one in model.served()} == {"claude-sonnet-5-5", "home-made-1"}
        reader.run("docs/evals.md", "aicd eval packages")
        assert (reader.folder / "after/results.json").is_file()


def test_vectors_that_were_lost_are_put_back(reader: Reader, tmp_path: Path, database_urls: TestUrls) -> None:
    ours = {"config": {"vectors": {"size": 2}}, "points": {"1": {"id": "1", "vector": [1.0, 0.5], "payload": {}}}}
    with qdrant_server() as qdrant:
        reader.environment |= {
            "AICD_MIGRATION_DATABASE_URL": database_urls.admin,
            "AICD_BACKUP_REPOSITORY": str(tmp_path / "vault"),
            "AICD_BACKUP_PASSWORD": "hush",
            "AICD_QDRANT_URL": qdrant.url,
            "AICD_QDRANT_API_KEY": QDRANT_KEY,
        }
        qdrant.collections |= {f"aicd-{0:032x}": ours, "theirs": {"config": {}, "points": {}}}
        before = dict(qdrant.collections)
        reader.shell("aicd backup run --init")
        del qdrant.collections[f"aicd-{0:032x}"]
        assert "Put back into qdrant: 1 collections" in reader.run("docs/backup.md", "aicd restore --only qdrant")
        assert qdrant.collections == before


def test_the_public_tree_is_made_and_pushed(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs.git"
    ours.mkdir()
    git(tmp_path, "init", "-q", "--bare", str(theirs))
    person = {f"GIT_{role}_{name}": "ada@example.org" for role in ("COMMITTER", "AUTHOR") for name in ("NAME", "EMAIL")}
    script = "from make_public import ROOT, Path, export; export(ROOT, Path('../public'))"
    # `make public` locks the tree as well, which takes a registry; `make public-check` does it.
    standing_in = {
        "make public DEST=../public": f'PYTHONPATH={ROOT}/scripts python -c "{script}"',
        "git@github.com:OWNER/PUBLIC.git": str(theirs),
    }
    reader = Reader(tmp_path, environment_of(tmp_path, **person), standing_in, folder=ours)
    reader.run("docs/publishing.md", "make public")
    there = git(theirs, "ls-tree", "-r", "--name-only", "main").decode().split()
    assert "README.md" in there
    assert "docs/billing.md" not in there
