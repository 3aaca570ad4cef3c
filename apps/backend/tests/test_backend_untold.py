"""Secrets that an issue, a command, a setting, a file and an exception hold are told nowhere that people look."""

import base64
import json
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from string import ascii_letters
from urllib.parse import quote

import httpx
import pytest

from aicd_backend.testing.world import offline_app
from aicd_core.errors import UnavailableError
from aicd_core.jobs.machine import JobState
from aicd_core.testing.chaos.installation import AicdProcess, Installation, installation, wait_until
from aicd_core.testing.chaos.repository import list_jobs
from aicd_core.testing.chaos.work import Order, place
from aicd_core.testing.databases import TestUrls
from aicd_core.testing.journaled import NAME, Script, journaled_issue
from aicd_core.testing.plugins import offer_agent
from collector import collecting


def rnd(length: int, seed: int) -> str:
    return "".join(Random(seed).choices(ascii_letters, k=length))


IN_ISSUE, IN_OUTPUT = "gh" + "p_" + rnd(36, 1), "np" + "m_" + rnd(36, 2)
"""Nobody here knows these beforehand: they are known by their look."""
IN_SETTING, IN_FILE, IN_URL = rnd(24, 3), rnd(24, 4), rnd(24, 5)
"""These look like nothing: they are known because this process was given them."""
IN_LINES = [rnd(64, number) for number in (6, 7, 8)]
"""A key's file. Programs complain of one line of it."""
OF_MODEL = "sk-proj-" + rnd(74, 9) + "T3Blbk" + "FJ" + rnd(74, 10)
PLANTED = (IN_ISSUE, IN_OUTPUT, IN_SETTING, IN_FILE, IN_URL, *IN_LINES, OF_MODEL[:70], OF_MODEL[-70:])
ENCODED = {
    "basic": base64.b64encode(f"x-access-token:{IN_ISSUE}".encode()).decode(),
    "base64": [base64.b64encode((before + IN_SETTING).encode()).decode() for before in ("", "a", "ab")],
    "url": quote("a b/" + IN_FILE, safe=""),
    "hex": IN_URL.encode().hex(),
}
"""The same, as a header, an address or a dump has them."""
CODES = [code[4:-4] for code in (ENCODED["basic"], *ENCODED["base64"], ENCODED["url"], ENCODED["hex"])]
SAID = (*PLANTED[:-2], OF_MODEL)
CODED = (*ENCODED["base64"], ENCODED["url"], ENCODED["hex"])
LEAKY = f"""
from aicd_core.testing.journaled import JournaledAgent

class Leaky(JournaledAgent):
    async def code(self, task, plan, feedback, workspace, session):
        session.emit("logs in with {IN_SETTING}, {IN_OUTPUT} for: " + task.body)
        await workspace.run("echo {IN_OUTPUT} {IN_SETTING}")
        await super().code(task, plan, feedback, workspace, session)
        sent = "Authorization: Basic {ENCODED["basic"]}, {" ".join(CODED)}"
        session.emit(sent)
        error = RuntimeError("no login with {" ".join(SAID)} at https://bot:{IN_URL}@git.acme.io/x")
        error.add_note(sent)
        raise error
"""


@contextmanager
def leaking(root: Path, urls: TestUrls) -> Iterator[Installation]:
    with installation(root, urls) as made:
        plugins, secrets = root / "leaky", root / "secrets"
        offer_agent(plugins, NAME, "leaky_agent:Leaky")
        (plugins / "leaky_agent.py").write_text(LEAKY)
        secrets.mkdir()
        (secrets / "aicd_openai_api_key").write_text(f"{IN_FILE}\n")
        block = "\n".join(IN_LINES)
        (secrets / "aicd_github_app_private_key").write_text(f"-----BEGIN X KEY-----\n{block}\n-----END X KEY-----\n")
        made.settings |= {
            "PYTHONPATH": str(plugins),
            "AICD_SECRETS_DIR": str(secrets),
            "AICD_GITHUB_WEBHOOK_SECRET": IN_SETTING,
            "HTTPS_PROXY": f"http://proxy:{IN_URL}@proxy.acme.io:3128",
            "AICD_METRICS_PORT": "0",
            "AICD_LOG_FORMAT": "json",
        }
        yield made


def address(process: AicdProcess, before: str) -> str:
    wait_until(lambda: before in process.said(), before)
    (found,) = re.findall(rf"{before} (http://127\.0\.0\.1:\d+)", process.said())
    return str(found)


async def test_what_is_planted_everywhere_comes_out_nowhere(tmp_path: Path, database_urls: TestUrls) -> None:
    with leaking(tmp_path, database_urls) as made, collecting() as collector:
        made.settings["AICD_OTLP_ENDPOINT"] = collector.url
        key = tmp_path / "key"
        up = made.begin("one", "up", "--port", "0", within=("sh", "-c", f'exec "$@" >{key}', "sh"))
        api, metrics = address(up, "listening on"), address(up, "metrics at")
        issue = journaled_issue(f"Log in with {IN_ISSUE}", Script(made.model.url, turns=1))
        (job,) = await place(made, [Order(issue)])
        wait_until(lambda: list_jobs(made.urls.admin)[0].status.state is JobState.FAILED, f"its end; {up.said()}")
        mine = key.read_text().strip()
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {mine}"}) as client:
            told = (await client.get(f"{api}/v1/organizations/local/jobs/{job}")).json()
            wrong = [(await client.get(f"{api}{path}{IN_ISSUE}?code={IN_SETTING}")).text for path in ("/", "/console/")]
            wrong += [await refused(client, api, number) for number in (401, 405, 422)]
            figures = (await client.get(f"{metrics}/metrics")).text
        up.signal(signal.SIGTERM)
        assert up.end() == 0, up.said()
    said, exported = up.said(), b"".join(collector.bodies).decode(errors="replace")
    assert "raised RuntimeError: no login with [redacted: a GitHub token]" in told["reason"]
    assert (said.count("[redacted: a secret]"), said.count("[redacted: an npm token]")) >= (4, 2)
    assert "[redacted: an npm token]" in exported
    assert "aicd_sandbox_commands_total" in figures
    assert all(json.loads(line)["event"] for line in said.splitlines() if line.startswith("{"))
    shown = {"logs": said, "traces": exported, "metrics": figures, "errors": told["reason"] + "".join(wrong)}
    told_of = (*PLANTED, *CODES, mine)
    assert [(where, secret) for where, text in shown.items() for secret in told_of if secret in text] == []


async def refused(client: httpx.AsyncClient, api: str, number: int) -> str:
    """The answer to a request that is wrong, with secrets in its headers, address and body."""
    jobs, body = f"{api}/v1/organizations/local/jobs", {"repository_id": IN_SETTING, IN_FILE: IN_ISSUE}
    match number:
        case 401:
            headers = {
                "Authorization": f"Bearer {IN_ISSUE}",
                "Cookie": f"aicd_session={IN_URL}",
            }
            answer = await client.get(f"{jobs}?token={IN_SETTING}", headers=headers)
        case 405:
            answer = await client.put(f"{jobs}?token={IN_SETTING}", json=body)
        case _:
            answer = await client.post(jobs, json=body)
    assert answer.status_code == number
    return answer.text + str(dict(answer.headers))


@pytest.mark.parametrize("kind", [UnavailableError, RuntimeError])
async def test_an_error_answer_quotes_no_secret(monkeypatch: pytest.MonkeyPatch, kind: type[Exception]) -> None:
    monkeypatch.setenv("SOME_PASSWORD", IN_SETTING)
    app = offline_app()

    @app.get("/console/a/b/c/fail")
    @app.get("/fail")
    async def fail() -> None:
        raise kind(f"No login with {IN_SETTING} and {IN_ISSUE}.")

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api.test") as client:
        for path in ("/fail", "/console/a/b/c/fail"):
            answer = await client.get(path)
            assert answer.status_code >= 500
            assert IN_SETTING not in answer.text
            assert IN_ISSUE not in answer.text
            assert kind is RuntimeError or "[redacted: a secret]" in answer.text
