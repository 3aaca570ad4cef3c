"""The developer portal beside the console: for everybody, as strict as the console's pages."""

import importlib
import sys
from pathlib import Path

import pytest

from aicd_backend.problems import STATUS_OF_KIND
from aicd_backend.testing.world import OpenWorld, settings_under_test

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT / "scripts"))


@pytest.fixture
def built(tmp_path: Path) -> Path:
    folder = tmp_path / "portal"
    for name in ("index.html", "quickstart/index.html", "assets/main.0a1b2c3d.min.js", "search.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"this is {name}")
    (tmp_path / "secret.html").write_text("hush")
    (folder / "link.html").symlink_to(tmp_path / "secret.html")
    return folder


async def test_files_are_shown_to_everybody_and_kept_as_long_as_they_stay_the_same(
    world_with: OpenWorld, built: Path
) -> None:
    async with world_with(settings_under_test().model_copy(update={"portal": built})) as world:
        front = await world.client.get("/docs/")
        assert (front.status_code, front.text) == (200, "this is index.html")
        policy = front.headers["Content-Security-Policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self' 'sha256-" in policy
        assert "unsafe" not in policy
        assert front.headers["Cache-Control"] == "no-cache"
        told = await world.client.head("/docs/")
        assert (told.status_code, told.text, told.headers["ETag"]) == (200, "", front.headers["ETag"])
        assert told.headers["Content-Length"] == str(len(front.content))
        assert (await world.client.head("/docs/gone/")).status_code == 404
        again = await world.client.get("/docs/", headers={"If-None-Match": front.headers["ETag"]})
        assert (again.status_code, again.text) == (304, "")
        assert (await world.client.get("/docs/quickstart/")).text == "this is quickstart/index.html"
        script = await world.client.get("/docs/assets/main.0a1b2c3d.min.js")
        assert script.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert script.headers["Content-Type"].startswith("text/javascript")
        for short, whole in (("/docs", "/docs/"), ("/docs/quickstart", "/docs/quickstart/")):
            for method in ("GET", "HEAD"):
                led = await world.client.request(method, short)
                assert (led.status_code, led.headers["Location"]) == (308, whole)
        for path in (
            "/docs/gone/",
            "/docs/gone.js",
            "/docs/assets",
            "/docs/%2e%2e/secret.html",
            "/docs/..%2fsecret.html",
            "/docs//etc/passwd",
            "/docs/link.html",
            "/docs/a%00b",
            "/docs/%00/",
            f"/docs/{'a' * 300}",
            f"/docs/{'a/' * 3000}",
            "/docs/assets/",
        ):
            missed = await world.client.get(path, headers={"Accept": "text/html"})
            assert (missed.status_code, "hush" in missed.text) in {(404, False), (308, False)}, path
            assert missed.status_code == 404 or path == "/docs/assets"


async def test_where_it_was_not_built_the_page_says_how(world_with: OpenWorld, tmp_path: Path) -> None:
    async with world_with(settings_under_test().model_copy(update={"portal": tmp_path / "gone"})) as world:
        answer = await world.client.get("/docs/")
        assert answer.status_code == 404
        assert "make portal" in answer.text


def test_the_catalogue_of_errors_has_the_statuses_that_the_api_answers_with() -> None:
    errors = importlib.import_module("portal_errors")
    assert {kind.name: status for kind, status in STATUS_OF_KIND.items()} == errors.STATUSES
    found = {coded.code: coded.status for coded in errors.catalogue(ROOT)}
    assert (found["stale_revision"], found["rate_limited"], found["login_unknown"]) == (412, 429, 403)
    assert (found["payment_overdue"], found["plan_limit"], found["request_timed_out"]) == (402, 402, 503)
