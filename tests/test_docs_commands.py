"""Every command in the documents is run, or at least can be meant: command, options, target, route exist."""

import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aicd_cli.sample import ISSUE, make_sample
from aicd_core.testing.databases import TestUrls
from shops import AICD, Shop
from shown_commands import Shown, blocks, commands, fault, inline, route_fault

RUN = (
    ("docs/quickstart.md", 'export PATH="$PWD/.venv/bin:$PATH"'),
    ("docs/quickstart.md", "aicd run --repo . --issue-file issue.md"),
    ("docs/quickstart.md", "mkdir ~/hello && cd ~/hello && git init -q -b main"),
    ("docs/quickstart.md", "aicd jobs"),
    ("README.md", 'export PATH="$PWD/.venv/bin:$PATH"'),
    ("docs/policy.md", ".venv/bin/aicd policy test --repo . --last 20"),
    ("docs/policy.md", ".venv/bin/aicd policy show > rules.json"),
    ("docs/configuration.md", "aicd policy test --repo . --last 50"),
    ("docs/evidence.md", "aicd verify JOB"),
    ("docs/recorded-calls.md", "aicd run --repo ~/src/project --issue-file issue.md --agent NAME --json"),
    ("docs/tenancy.md", 'export AICD_SECRET_KEYS="k1:$(head -c 32 /dev/urandom | base64)"'),
    ("docs/secrets.md", "aicd keys rotate"),
    ("docs/operations.md", "aicd org limits --org acme"),
    ("docs/github.md", "aicd org triggers --org acme --permission maintain --allow-bot 'renovate[bot]'"),
    ("docs/webhooks.md", """body='{"zen":"Keep it logically awesome."}'"""),
)
"""Page and first line of what is run, in this order, in one home with the sample repository."""
STANDING_IN = {
    "--org acme": "--org local",
    "--agent NAME": "--agent dummy",
    "https://example.org/shop.git": "~/src/project",
}
"""What is there in the test, for what the documents name."""
NOT_RUN = {
    "make demo": "CI runs it, and it takes minutes to build on a bare machine",
    "aicd up": "runs until it is stopped; `make test-browser` starts it",
    "AICD_METRICS_PORT=9464 aicd worker": "runs until it is stopped; test_worker_process.py starts it",
    "aicd run --detach --repo /srv/project --issue-file issue.md": "its worker runs until it is stopped",
    "aicd jobs --state awaiting_approval": "each line wants a job in another state; test_cli_commands.py has them",
    "aicd eval ": "asks a model that costs money",
    "export AICD_ANTHROPIC": "asks a model that costs money",
    "export AICD_OPENAI": "names a model server of the reader's",
    "export AICD_DATA_DIR=/tmp/trying": "runs until it is stopped, against a program in another window",
    'curl -d \'{"plan"': "asks that server",
    "export GITHUB_TOKEN=github_pat_…": "asks GitHub; test_github_run.py does it at a stand-in",
    "aicd github setup --organization acme": "asks GitHub in a browser; test_github_setup.py does it at a stand-in",
    'export AICD_GITHUB_WEBHOOK_SECRET="$(openssl rand -hex 32)"': "runs until it is stopped",
    "aicd org triggers --org acme --agent claude": "names an agent that not every installation has",
    "export AICD_PUBLIC": "names login providers that do not exist",
    "curl https://api.example.com/v1/oauth/token": "asks a server of the reader's",
    'export AICD_SECRET_KEYS="k$(date +%s):$(head -c 32 /dev/urandom | base64),$AICD_SECRET_KEYS"': "one of two steps",
    "aicd org reencrypt": "one of two steps; test_cli_json.py runs it",
    'export AICD_SIGNING_KEYS="s$(date +%s):$(head -c 32 /dev/urandom | base64),$AICD_SIGNING_KEYS"': (
        "for a key that signs already; test_attestation.py has several"
    ),
    """psql "$AICD_MIGRATION_DATABASE_URL" -c "ALTER ROLE aicd_app PASSWORD '$NEW_PASSWORD'\"""": (
        "changes a password of the database's"
    ),
    "aicd org export --org acme --output acme.jsonl": "erases an organization; test_cli_org.py does it",
    "export AICD_BACKUP_REPOSITORY=": "names a repository of the reader's; test_backup_restore.py has one",
    "redis-cli -u": "wants a Redis and a Qdrant of the reader's",
    'restic -r "$AICD_BACKUP_REPOSITORY"': "wants a repository of the reader's",
    "AICD_OTLP_ENDPOINT=": "runs until it is stopped",
    "promtool check config": "tests of alerts and dashboards run promtool",
    "make public": "`make public-check` does it",
    "cosign verify": "wants images that were published",
    "git switch main": "makes a release",
    "createdb aicd": "wants a Postgres server of the reader's; test_cli_org.py migrates one",
    "export AICD_DATABASE_URL=postgresql://aicd_app:…@db.example:5432/aicd": "wants a Postgres server of the reader's",
    "aicd run --repo PATH|URL (--issue TEXT | --issue-file F)": "a synopsis",
    "sudo apt-get install podman uidmap fuse-overlayfs": "installs packages",
    ".venv/bin/aicd --install-completion": "test_cli_json.py does it",
    "npm ci && npm run build": "test_clients.py does it",
    "export AICD_DATABASE_URL=postgresql://aicd_app:…@db/aicd": "a synopsis",
}
"""How the blocks begin that are only looked at, and why."""
ELSEWHERE = ("docs/deploy", "docs/backup.md", "docs/recovery.md", "docs/high-availability.md")
"""Pages whose commands are for hosts and clusters of the reader's: of other people's programs nothing is known here."""


def test_every_block_is_run_or_says_why_not():
    found = {(shown.page, shown.first) for shown in blocks()}
    here = {block for block in found if not block[0].startswith(ELSEWHERE)}
    left = [block for block in here if block not in RUN and not block[1].startswith(tuple(NOT_RUN))]
    assert left == [], "add them to RUN, or say in NOT_RUN why they are not run"
    assert set(RUN) <= found, "no page has these blocks any more: take them out of RUN"


def test_every_command_can_be_meant():
    faults = [
        f"{shown.page}: {' '.join(words)}: {why}"
        for shown in blocks()
        for words in commands(shown.text)
        if (why := fault(words)) and not (shown.page.startswith(ELSEWHERE) and "no program" in why)
    ]
    for page, text in inline():
        if re.match(r"(?:aicd|make) [a-z]", text) and "…" not in text:
            faults += [f"{page}: `{text}`: {why}" for words in commands(text) if (why := fault(words, whole=False))]
        route = re.fullmatch(r"(GET|POST|PUT|PATCH|DELETE) (/\S+)", text)
        if route and (why := route_fault(*route.groups())):
            faults.append(f"{page}: `{text}`: {why}")
    assert not faults, "\n".join(faults)
    for shown in blocks():
        if shown.labelled:
            done = subprocess.run(["bash", "-n"], input=shown.text, capture_output=True, text=True)
            assert (done.returncode, done.stderr) == (0, ""), f"{shown.page}: {shown.first}"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("aicd run --repo . --isue-file issue.md", "No such option"),
        ("aicd jbos", "has no command jbos"),
        ("c exec -T backup aicd backup rnu", "has no command rnu"),
        ("c run --rm -e A=1 backup restor", "has no command restor"),
        ("docker compose exec worker aicd doctr", "has no command doctr"),
        ("aicd approve", "Missing parameter"),
        ("aicd jobs --limit many", "valid integer"),
        ("aicd policy test . extra", "too much"),
        ("make everything", "make has no everything"),
        ("curl -X DELETE https://api.example.com/v1/me", "the API has no DELETE /v1/me"),
        ("aicd jobs; rm -rf build", "rm is no program"),
        ("A=1 aicd worker --concurency 4 # work", "No such option"),
    ],
)
def test_what_is_wrong_is_found(text: str, why: str):
    assert any(why in (fault(words) or "") for words in commands(text))


@contextmanager
def taking_webhooks_in(shop: Shop, environment: dict[str, str]) -> Iterator[int]:
    """Runs `aicd github serve`; its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = shop.data.parent / "serve.log"
    with (
        log.open("w") as told,
        subprocess.Popen([AICD, "github", "serve", "--port", str(port)], env=environment, stderr=told) as process,
    ):
        try:
            for _ in range(1200):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                assert process.poll() is None, log.read_text()
                time.sleep(0.05)
            yield port
        finally:
            process.terminate()


def prepare(home: Path) -> Path:
    """A home with the sample repository at ~/src/project, the issue in it, and this tree's programs."""
    (home / "src").mkdir()
    project = make_sample(home / "src" / "project")
    (project / "issue.md").write_text(ISSUE)
    (project / ".venv").mkdir()
    (project / ".venv" / "bin").symlink_to(AICD.parent)
    return project


def test_the_commands_of_the_documents_do_what_they_say(tmp_path: Path, database_urls: TestUrls):
    project = prepare(tmp_path)
    shop = Shop(project, tmp_path / "data", database_urls)
    environment = shop.environment() | {
        "PATH": f"{AICD.parent}:/usr/local/bin:/usr/bin:/bin",
        "AICD_DATA_DIR": str(shop.data),
        "AICD_GITHUB_WEBHOOK_SECRET": "for-a-test-" + "x" * 20,
        "AICD_GITHUB_ACCOUNTS": "acme",
    }
    said: dict[tuple[str, str], str] = {}

    def run(shown: Shown, **put: str) -> None:
        text = shown.text
        for old, new in STANDING_IN.items():
            text = text.replace(old, new)
        for old, new in put.items():
            text = re.sub(rf"\b{old}\b", new, text)
        command = ["bash", "-euo", "pipefail", "-c", text]
        done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, f"{shown.page}: {text}\n{done.stdout}{done.stderr}"
        said[shown.page, shown.first] = done.stdout

    known = {(shown.page, shown.first): shown for shown in blocks()}
    for place in RUN:
        if place[0] == "docs/webhooks.md":
            with taking_webhooks_in(shop, environment) as port:
                run(known[place], **{"8081": str(port)})
            continue
        job = re.search(r"aicd/([0-9a-f-]{36})", "".join(said.values()))
        if place[0] == "docs/evidence.md":
            (bundle,) = shop.data.rglob("*.evidence.json")
            (project / "1.evidence.json").write_bytes(bundle.read_bytes())
        run(known[place], **({"JOB": job[1]} if job else {}))
    assert "Pull request open" in said[RUN[1]]
    assert '"stored"' in said[RUN[-1]]
