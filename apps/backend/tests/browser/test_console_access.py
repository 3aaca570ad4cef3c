"""axe-core finds nothing serious on any page, light or dark, wide or narrow; and no page is wider than its window."""

import pytest
from console_world import Installation, MakeJob, log_in, open_context, page_issues
from playwright.sync_api import Browser, Page, expect

PLACES = ("jobs", "jobs/new", "repositories", "policy", "usage", "billing", "members", "keys", "audit")
TABS = ("", "/log", "/changes", "/tests", "/review", "/calls")


@pytest.fixture(scope="module", params=["light", "dark"])
def seen(request: pytest.FixtureRequest, chromium: Browser, installation: Installation) -> Page:
    context = chromium.new_context(base_url=installation.address, color_scheme=request.param)
    return log_in(context.new_page(), installation.key)


def test_pages_of_the_organization(seen: Page, axe: str, repository_id: str) -> None:
    for place in (*PLACES, f"repositories/{repository_id}"):
        seen.goto(f"/console/local/{place}")
        assert page_issues(seen, axe) == [], place


def test_pages_of_a_job(seen: Page, axe: str, make_job: MakeJob) -> None:
    waiting, done = make_job(asks_approval=True), make_job()
    for job, told in ((waiting, "Awaiting approval"), (done, "Pull request open")):
        seen.goto(f"/console/local/jobs/{job}")
        expect(seen.locator("#job-state")).to_have_text(told)
        for tab in TABS:
            seen.goto(f"/console/local/jobs/{job}{tab}")
            assert page_issues(seen, axe) == [], (told, tab)


def test_pages_of_nobody_and_of_nothing(page: Page, inside: Page, axe: str) -> None:
    for path in ("/console/local/nothing", "/login"):
        page.goto(path)
        assert page_issues(page, axe) == [], path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_bills_and_what_is_warned_of(chromium: Browser, paying: Installation, axe: str, scheme: str) -> None:
    with open_context(chromium, paying.address) as opened:
        page = log_in(opened.new_page(), paying.key)
        page.emulate_media(color_scheme=scheme)
        page.goto("/console/local/billing")
        expect(page.get_by_text("Hard cap")).to_be_visible()
        expect(page.locator(".notice")).to_contain_text(["100 % of the soft cap of $0.00"])
        assert page_issues(page, axe) == []
