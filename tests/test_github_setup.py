"""`aicd github setup`: the App is made in a browser, here played by the test, and its secrets are kept."""

import html
import json
import re
import stat
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from aicd_github.hub.manifest import PERMISSIONS
from aicd_github.testing.github_server import GitHubServer, serving_github

AICD = Path(sys.executable).with_name("aicd")


def begin(server: GitHubServer, data: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [str(AICD), "github", "setup", "--data-dir", str(data), *arguments]
    environment = {"HOME": str(data.parent), "PATH": "/usr/bin:/bin", "AICD_GITHUB_API_URL": server.api}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def browse(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.read().decode()


def test_an_app_is_made_and_its_secrets_are_kept_for_this_user_alone(tmp_path: Path) -> None:
    data, root = tmp_path / "data", tmp_path / "github"
    root.mkdir()
    with serving_github(GitHubServer(root)) as server:
        app = server.add_app("aicd-acme", "", {})
        made = server.shapes.app(app) | {"pem": "-----KEY-----", "webhook_secret": "hush", "client_secret": "c"}
        server.world.conversions["c0de"] = made
        process = begin(server, data, "--organization", "acme")
        page = browse(re.search(r"http://\S+", process.stdout.readline())[0])
        action = html.unescape(re.search(r'action="([^"]*)"', page)[1])
        wanted = json.loads(html.unescape(re.search(r'name="manifest" value="([^"]*)"', page)[1]))
        assert action.startswith(f"{server.web}/organizations/acme/settings/apps/new?state=")
        assert wanted["default_permissions"] == dict(PERMISSIONS)
        state = urllib.parse.parse_qs(urllib.parse.urlsplit(action).query)["state"][0]
        for wrong in ("?code=c0de", "?code=c0de&state=other", f"?state={state}&code=../x"):
            with pytest.raises(urllib.error.HTTPError, match="404") as told:
                browse(wanted["redirect_url"] + wrong)
            told.value.close()
        assert "made" in browse(f"{wanted['redirect_url']}?code=c0de&state={state}")
        told, complaint = process.communicate(timeout=60)
        assert process.returncode == 0, complaint
        place = data / "github-app"
        kept = {file.name: file.read_text() for file in place.iterdir()}
        assert kept == {"app-id": str(app.id), "key.pem": "-----KEY-----", "webhook-secret": "hush"}
        assert {stat.S_IMODE(file.stat().st_mode) for file in place.iterdir()} == {0o600}
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
        assert f"AICD_GITHUB_APP_ID={app.id}" in told
        assert "hush" not in told
        assert "KEY-----" not in told
        again = begin(server, data)
        _, complaint = again.communicate(timeout=60)
        assert again.returncode == 2
        assert "holds an App's secrets already" in complaint


def test_nobody_comes(tmp_path: Path) -> None:
    root = tmp_path / "github"
    root.mkdir()
    with serving_github(GitHubServer(root)) as server:
        process = begin(server, tmp_path / "data", "--wait", "1")
        _, complaint = process.communicate(timeout=60)
        assert "Nobody made the App" in complaint
