"""The developer portal in a browser, as the server shows it: nothing is fetched elsewhere, and the search finds."""

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from console_world import ROOT, Installation, open_context, serious_issues
from playwright.sync_api import Browser, BrowserContext, expect

sys.path.insert(0, str(ROOT / "scripts"))
BUILT = Path(sys.prefix) / "share" / "aicd" / "portal"


@pytest.fixture(scope="module")
def reader(chromium: Browser, installation: Installation) -> Iterator[BrowserContext]:
    importlib.import_module("build_portal").build(ROOT, BUILT)
    with open_context(chromium, installation.address) as opened:
        yield opened


def test_the_search_finds_and_nothing_comes_from_elsewhere(reader: BrowserContext, installation: Installation) -> None:
    page, asked = reader.new_page(), list[str]()
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/docs/")
    expect(page.get_by_role("heading", name="AI-CD")).to_be_visible()
    page.get_by_role("button", name="Search").first.click()
    page.keyboard.type("idempotency")
    page.get_by_role("heading", name="Sending again").click()
    expect(page).to_have_url(re.compile(r"/docs/api/"))
    expect(page.get_by_role("heading", name="Sending again")).to_be_visible()
    page.goto("/docs/reference/jobs/")
    expect(page.get_by_role("heading", name="Make a job")).to_be_visible()
    assert asked
    assert [url for url in asked if not url.startswith((installation.address, "data:"))] == []


@pytest.mark.parametrize("path", ["/docs/", "/docs/quickstart/", "/docs/reference/jobs/", "/docs/errors/"])
def test_axe_finds_nothing_serious(reader: BrowserContext, axe: str, path: str) -> None:
    page = reader.new_page()
    page.goto(path)
    assert serious_issues(page, axe) == []
