"""A real `aicd up` for a real browser, and what tests do there again and again."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import httpx
from playwright.sync_api import Browser, BrowserContext, Page, expect

from aicd_cli.sample import ISSUE

ROOT = Path(__file__).parents[4]
AICD = ROOT / ".venv" / "bin" / "aicd"
CHROMIUM = os.environ.get("AICD_CHROMIUM", "/usr/bin/chromium")
PATIENCE = int(os.environ.get("AICD_BROWSER_PATIENCE", "60000"))
"""Milliseconds that a page gets to show something: the machine may be busy."""
NARROW = 360
"""Pixels of a small telephone's width."""
TOO_WIDE = """() => {
  const room = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= room) return [];
  return [...document.body.querySelectorAll("*")].filter((each) => each.getBoundingClientRect().right > room + 1)
    .map((each) => each.tagName + "." + (each.getAttribute("class") || "") + "#" + each.id).slice(0, 5).concat("page");
}"""
SERIOUS = {"serious", "critical"}
MakeJob = Callable[..., str]
"""Makes a job by the API, with what is given besides; its id."""


@dataclass
class Installation:
    """A running `aicd up`, with the sample repository beside it."""

    address: str
    key: str
    data: Path
    repository: Path
    numbers: "count[int]" = field(default_factory=lambda: count(1))

    def environment(self) -> dict[str, str]:
        return environment(self.data)

    def aicd(self, *arguments: str) -> str:
        """What a command prints."""
        done = subprocess.run([AICD, *arguments], env=self.environment(), capture_output=True, text=True, timeout=90)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def call(self, method: str, path: str, body: object = None, key: str | None = None) -> httpx.Response:
        """A request of a program."""
        headers = {"Authorization": f"Bearer {key or self.key}"}
        answer = httpx.request(method, f"{self.address}/v1{path}", headers=headers, json=body, timeout=30)
        assert answer.is_success, answer.text
        return answer

    def issue(self) -> str:
        """The sample's issue, under a title of its own."""
        return f"Slugs, take {next(self.numbers)}: {ISSUE}"


def environment(data: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(data.parent),
        "AICD_DATA_DIR": str(data),
        "AICD_LOCAL_REPOSITORIES": "true",
        "AICD_RATE_LIMIT_ADDRESS": "100000",
        "AICD_RATE_LIMIT_CREDENTIAL": "100000",
        "AICD_RATE_LIMIT_LOGIN": "100000",
    }


@contextmanager
def open_context(chromium: Browser, address: str) -> Iterator[BrowserContext]:
    """A browser of nobody's; whatever its pages complain about fails the test."""
    expect.set_options(timeout=PATIENCE)
    opened = chromium.new_context(base_url=address, viewport={"width": 1280, "height": 860})
    opened.set_default_timeout(PATIENCE)
    complaints: list[str] = []
    opened.on("weberror", lambda error: complaints.append(str(error.error)))
    opened.on("console", lambda told: complaints.append(told.text) if "Content Security Policy" in told.text else None)
    yield opened
    opened.close()
    assert complaints == []


def log_in(page: Page, key: str) -> Page:
    page.goto("/login")
    for folded in page.locator("summary").all():  # where there are providers, the key's form is
        folded.click()
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Log in", exact=True).click()
    expect(page.get_by_role("heading", name="Jobs", exact=True)).to_be_visible()
    return page


def page_issues(page: Page, axe: str) -> list[str]:
    """What axe finds on a page that is serious, and what makes it scroll sideways as a whole, wide and narrow.

    axe looks at narrow pages in the dark only: each look costs time, and colours are those of the wide ones.
    """
    found = []
    for width in (1280, NARROW):
        page.set_viewport_size({"width": width, "height": 860})
        found += [f"{width} px: {wide} is too wide" for wide in page.evaluate(TOO_WIDE)]
        if width != NARROW or page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches"):
            found += [f"{width} px: {issue}" for issue in serious_issues(page, axe)]
    return found


def serious_issues(page: Page, axe: str) -> list[str]:
    """What axe finds on a page that is serious, each with the place."""
    page.evaluate(f"window.axe || (() => {{ {axe} }})()")
    found = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{issue['id']}: {json.dumps([node['target'] for node in issue['nodes']])}"
        for issue in found["violations"]
        if issue["impact"] in SERIOUS
    ]
