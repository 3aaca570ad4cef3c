"""`aicd org triggers`, and what a worker refuses to start with, as an operator meets them."""

import json
from pathlib import Path

from test_cli_org import aicd

from aicd_core.testing.databases import TestUrls


def test_who_may_start_jobs_is_shown_and_set(database_urls: TestUrls, tmp_path: Path, tenant: object):
    def triggers(*arguments: str) -> tuple[int, str]:
        done = aicd(database_urls, tmp_path, "org", "triggers", "--org", "acme", *arguments)
        return done.returncode, done.stdout or done.stderr

    assert triggers() == (0, "people need  write\nbots         none\nagent        dummy\n")
    code, said = triggers("--permission", "maintain", "--allow-bot", "renovate[bot]", "--allow-bot", "x[bot]", "--json")
    assert (code, json.loads(said)["permission"]) == (0, "maintain")
    code, said = triggers("--refuse-bot", "X[bot]", "--json")
    assert json.loads(said) == {"permission": "maintain", "bots": ["renovate[bot]"], "agent": "dummy"}
    assert triggers("--permission", "read")[0] == 2
    assert triggers("--agent", "nobody")[0] == 2
    assert "go together" in triggers("--base", "develop")[1]
    assert triggers("--repo", "/nowhere", "--base", "develop")[0] == 2


def test_an_organization_that_there_is_not_is_refused_at_the_start(database_urls: TestUrls, tmp_path: Path):
    more = {"AICD_GITHUB_ACCOUNTS": "octocat=acme,other=local"}
    done = aicd(database_urls, tmp_path, "worker", **more)
    assert (done.returncode, "names 'acme', and there is no such organization" in done.stderr) == (2, True), done.stderr
