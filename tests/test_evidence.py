"""A pull request carries signed evidence, and `aicd verify` finds what does not agree with it."""

import asyncio
import base64
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from aicd_cli.runtime import LOCAL_ORGANIZATION
from aicd_core.attestation import open_envelope, verifying_keys
from aicd_core.attestation.statement import Predicate
from aicd_core.db.database import SystemDatabase
from aicd_core.errors import UnavailableError
from aicd_core.jobs.machine import JobState
from aicd_core.orchestrator import JobReport, Message
from aicd_core.orchestrator.chores import let_go
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.organizations.service import ensure_organization
from aicd_core.testing.databases import TestUrls
from aicd_core.testing.journaled import JournaledAgent, Script, journaled_issue
from aicd_core.testing.paid_model import PaidModel
from aicd_github.local.host import LocalCodeHost
from conftest import Body
from histories import git, make_greeting

AICD = Path(sys.executable).with_name("aicd")
DOCS = Path(__file__).parents[1] / "docs"
ISSUE = "Greet the world\n\n```diff\n--- a/greet.txt\n+++ b/greet.txt\n@@ -1 +1 @@\n-hello\n+hello world\n```\n"


@pytest.fixture
async def tenant(system: SystemDatabase) -> Tenant:
    """The organization for which the command line works."""
    async with system.write() as session:
        return await ensure_organization(session, LOCAL_ORGANIZATION)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return make_greeting(tmp_path / "source")


@pytest.fixture
def model(tmp_path: Path) -> Iterator[PaidModel]:
    with PaidModel(tmp_path / "paid.jsonl") as running:
        yield running


async def paid_job(body: Body, source: Path, model: PaidModel) -> JobReport:
    """A job of two rounds with calls of a model."""
    (source / ".aicd.yml").write_text("version: 1\ntests: []\n")
    git(source, "commit", "-qam", "No tests")
    body.agents = lambda name: JournaledAgent()
    return await body.run(source, journaled_issue("Write", Script(model.url, turns=2, rejections=1)))


def bundle_of(report: JobReport) -> Path:
    assert report.pull_request is not None, report.job.reason
    assert report.pull_request.evidence_url is not None
    return Path(report.pull_request.evidence_url.removeprefix("file://"))


def told_by(body: Body, report: JobReport) -> Predicate:
    raw = bundle_of(report).read_bytes()
    return open_envelope(raw, verifying_keys(body.settings)).statement.predicate


def verify(body: Body, urls: TestUrls | None, *arguments: str) -> subprocess.CompletedProcess[str]:
    databases = {"AICD_DATABASE_URL": urls.app, "AICD_SYSTEM_DATABASE_URL": urls.system} if urls else {}
    return subprocess.run(
        [str(AICD), "verify", *arguments, "--data-dir", str(body.settings.data_dir)],
        env={"PATH": os.environ["PATH"], "HOME": str(body.settings.data_dir), **databases},
        capture_output=True,
        text=True,
        timeout=120,
    )


def differing(done: subprocess.CompletedProcess[str]) -> list[str]:
    assert done.returncode in {0, 3}, done.stderr
    return [check["name"] for check in json.loads(done.stdout)["checks"] if check["result"] == "differs"]


def alter(urls: TestUrls, statement: str) -> None:
    with psycopg.connect(urls.admin) as connection:
        assert connection.execute(statement.encode()).rowcount > 0


async def test_the_bundle_tells_what_was_done(body: Body, source: Path):
    report = await body.run(source, ISSUE + "<!-- hidden -->\n")
    told = told_by(body, report)
    assert report.plan is not None
    assert report.coded is not None
    assert told.job_id == str(report.job.id)
    assert told.repository.head_sha == git(source, "rev-parse", report.job.branch).decode().strip()
    assert told.repository.tree_sha == report.coded.change_set.tree_sha
    assert told.repository.source == str(source)
    assert told.plan_sha256 == report.plan.structure_hash()
    assert [(c.phase, c.command, c.exit_code) for c in told.commands] == [("test", "grep -q world greet.txt", 0)]
    assert {"secret", "protected_path", "size"} <= set(told.policy.rules)
    assert set(told.policy.rules.values()) == {"allow"}
    assert told.issue.hidden == {"comment": 1}
    assert (told.agent.name, told.agent.version) == ("dummy", "0.1.0")


async def test_the_bundle_holds_every_paid_call_and_its_cost(body: Body, source: Path, model: PaidModel):
    report = await paid_job(body, source, model)
    told = told_by(body, report)
    assert (told.round, told.journal.calls, told.journal.models) == (2, 7, ("paid",))
    assert len(told.ledger.entries) == 7
    assert told.ledger.total == report.usage
    assert report.usage.cost_micro_usd > 0


async def test_a_person_reads_where_the_bundle_is_and_that_something_was_hidden(body: Body, source: Path):
    report = await body.run(source, "Greet\u200b the world" + ISSUE + "<!-- hidden -->\n")
    assert report.pull_request is not None
    page = Path(report.pull_request.url.removeprefix("file://")).read_text()
    assert f"Signed evidence: `{bundle_of(report)}`" in page
    assert "does not show: 1 hidden comment and 1 invisible character." in page
    assert any(isinstance(said, Message) and "1 hidden comment" in said.text for said in body.seen)


async def test_a_hidden_character_in_a_diff_is_applied_exactly_and_told(body: Body, source: Path):
    report = await body.run(source, ISSUE.replace("hello world", "hello\u200b \u2028world"))
    assert git(source, "show", f"{report.job.branch}:greet.txt").decode() == "hello\u200b \u2028world\n"
    assert told_by(body, report).issue.hidden == {"in_code": 2}


async def test_a_diff_in_a_comment_is_not_carried_out(body: Body, source: Path):
    report = await body.run(source, f"Greet\n\n<!--\n{ISSUE}-->\n")
    assert (report.job.state, report.job.code) == (JobState.FAILED, "no_usable_diff")


class Unheard(LocalCodeHost):
    """Publishes, and dies before anybody hears of it."""

    async def publish(self, *arguments, **named):
        await super().publish(*arguments, **named)
        raise UnavailableError("cut off")


async def test_a_publication_that_is_repeated_finds_its_bundle_again(
    body: Body, source: Path, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as patched:
        patched.setattr("aicd_cli.runtime.LocalCodeHost", Unheard)
        with pytest.raises(UnavailableError, match="cut off"):
            await body.run(source, ISSUE)
    (first,) = body.settings.data_dir.glob("pulls/*/1.evidence.json")
    before = first.read_bytes()
    report = await body.run(source, ISSUE)
    assert bundle_of(report) == first
    assert first.read_bytes() == before


async def test_verify_takes_a_job_a_file_a_path_and_a_url(body: Body, source: Path, database_urls: TestUrls):
    report = await body.run(source, ISSUE)
    assert report.pull_request is not None
    page = Path(report.pull_request.url.removeprefix("file://"))
    for named in (str(report.job.id), report.job.branch, str(bundle_of(report)), str(page), report.pull_request.url):
        done = verify(body, database_urls, named)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "holds, 15 checks, 0 skipped." in done.stdout


ANOTHER_REPLY = """UPDATE journal_contents SET packed = decode('00', 'hex')
    WHERE sha256 = (SELECT reply_pieces[1] FROM model_calls WHERE step = 'plan/0')"""


async def test_verify_finds_what_was_changed_since(body: Body, source: Path, model: PaidModel, database_urls: TestUrls):
    report = await paid_job(body, source, model)
    bundle = bundle_of(report)
    assert differing(verify(body, database_urls, str(bundle), "--json")) == []
    alter(database_urls, ANOTHER_REPLY)
    assert differing(verify(body, database_urls, str(bundle), "--json")) == ["journal (7 calls)"]
    alter(database_urls, "UPDATE usage_entries SET cost_micro_usd = cost_micro_usd + 1 WHERE entry_key LIKE '%plan/0%'")
    assert differing(verify(body, database_urls, str(bundle), "--json")) == ["journal (7 calls)", "ledger"]


LET_GO = """WITH ended AS (UPDATE jobs SET state = 'merged', updated_at = now() - interval '31 days' RETURNING id)
    UPDATE journal_contents SET created_at = now() - interval '32 days' WHERE job_id IN (SELECT id FROM ended)"""


async def test_evidence_holds_when_the_texts_were_let_go_of_and_what_is_left_is_still_compared(
    body: Body, source: Path, model: PaidModel, database_urls: TestUrls
):
    report = await paid_job(body, source, model)
    bundle = str(bundle_of(report))
    alter(database_urls, LET_GO)
    await let_go(body.parts())
    assert journal_rows(database_urls) == 0
    done = verify(body, database_urls, bundle, "--json")
    assert differing(done) == []
    (journal,) = [one for one in json.loads(done.stdout)["checks"] if one["name"] == "journal (7 calls)"]
    assert "AICD_JOURNAL_DAYS" in journal["detail"]
    alter(database_urls, "UPDATE model_calls SET reply_sha256 = sha256('other') WHERE step = 'plan/0'")
    assert differing(verify(body, database_urls, bundle, "--json")) == ["journal (7 calls)"]


async def test_texts_that_are_gone_before_the_job_has_ended_were_taken_away(
    body: Body, source: Path, model: PaidModel, database_urls: TestUrls
):
    report = await paid_job(body, source, model)
    alter(database_urls, "DELETE FROM journal_contents")
    assert differing(verify(body, database_urls, str(bundle_of(report)), "--json")) == ["journal (7 calls)"]


def journal_rows(urls: TestUrls) -> int:
    with psycopg.connect(urls.admin) as connection:
        return connection.execute("SELECT count(*) FROM journal_contents").fetchall()[0][0]


async def test_verify_without_the_database_checks_signature_and_commit(body: Body, source: Path, tmp_path: Path):
    report = await body.run(source, ISSUE)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "--mirror", str(source), str(clone))
    done = verify(body, None, str(bundle_of(report)), "--repo", str(clone))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "holds, 7 checks, 1 skipped." in done.stdout
    assert not (body.settings.data_dir / "postgres").exists()


async def test_verify_finds_a_commit_that_is_not_there(body: Body, source: Path, tmp_path: Path):
    report = await body.run(source, ISSUE)
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    done = verify(body, None, str(bundle_of(report)), "--repo", str(other), "--json")
    assert (done.returncode, differing(done)) == (3, ["commit"])


async def test_an_object_that_stands_in_for_the_commit_is_not_taken_for_it(body: Body, source: Path):
    report = await body.run(source, ISSUE)
    assert report.pull_request is not None
    head = report.pull_request.head_sha
    git(source, "replace", head, "HEAD")
    assert differing(verify(body, None, str(bundle_of(report)), "--json")) == []


async def test_a_tampered_bundle_is_refused(body: Body, source: Path, tmp_path: Path):
    report = await body.run(source, ISSUE)
    raw = bundle_of(report).read_bytes()
    envelope = json.loads(raw)
    payload = base64.b64decode(envelope["payload"]).replace(b'"exit_code":0', b'"exit_code":1')
    envelope["payload"] = base64.b64encode(payload).decode()
    tampered = tmp_path / "tampered.json"
    tampered.write_bytes(json.dumps(envelope, separators=(",", ":")).encode() + b"\n")
    done = verify(body, None, str(tampered), "--json")
    assert (done.returncode, differing(done)) == (3, ["signature"])
    assert json.loads(done.stdout)["verified"] is False
    tampered.write_bytes(raw[: len(raw) // 2])
    done = verify(body, None, str(tampered))
    assert done.returncode == 3
    assert "Do not trust it" in done.stdout


async def test_a_key_that_is_not_given_verifies_nothing(body: Body, source: Path, tmp_path: Path):
    report = await body.run(source, ISSUE)
    foreign = tmp_path / "keys.txt"
    foreign.write_text("other:" + base64.b64encode(bytes(32)).decode() + "\n")
    assert differing(verify(body, None, str(bundle_of(report)), "--key", str(foreign), "--json")) == ["signature"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["/no/such/file.json"], "cannot be read"),
        (["https://example.test/acme/app/pull/1"], "not on this machine"),
        (["{bundle}", "--key", "/no/such/keys"], "cannot be read"),
        (["{bundle}", "--repo", "/no/such/folder"], "does not exist"),
    ],
)
async def test_what_cannot_be_looked_at_is_a_matter_of_usage(body: Body, source: Path, arguments: list[str], said: str):
    report = await body.run(source, ISSUE)
    done = verify(body, None, *(argument.format(bundle=bundle_of(report)) for argument in arguments))
    assert done.returncode == 2, done.stdout
    assert said in done.stderr


async def test_a_job_that_is_not_there_is_said_to_be_so(body: Body, database_urls: TestUrls):
    done = verify(body, database_urls, "01a20a19-b883-7345-9527-cba0433a3c7f")
    assert done.returncode == 2
    assert "There is no job" in done.stderr


async def test_the_example_of_the_guide_works(body: Body, source: Path, tmp_path: Path, database_urls: TestUrls):
    report = await body.run(source, ISSUE)
    (example,) = re.findall(r"```sh\n(.*?)```", (DOCS / "evidence.md").read_text(), re.DOTALL)
    (tmp_path / "1.evidence.json").write_bytes(bundle_of(report).read_bytes())
    environment = {
        "PATH": f"{AICD.parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "AICD_DATA_DIR": str(body.settings.data_dir),
        "AICD_DATABASE_URL": database_urls.app,
        "AICD_SYSTEM_DATABASE_URL": database_urls.system,
    }
    script = example.replace("~/src/project", shlex.quote(str(source))).replace("JOB", str(report.job.id))
    done = await asyncio.to_thread(
        *(subprocess.run, ["sh", "-eux", "-c", script]),
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("0 skipped") == 3
