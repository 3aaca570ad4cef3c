"""People come in at a real OpenID Connect provider, by an invitation's link, and in place of somebody else."""

from collections.abc import Iterator

import pytest
from console_world import Installation, log_in, open_context
from playwright.sync_api import Browser, BrowserContext, Page, expect


@pytest.fixture
def browser(chromium: Browser, provided: Installation) -> Iterator[BrowserContext]:
    with open_context(chromium, provided.address) as opened:
        yield opened


def at_the_provider_as(browser: BrowserContext, name: str) -> None:
    browser.add_cookies([{"name": "account", "value": name, "url": "http://127.0.0.1"}])


def invited(provided: Installation, name: str) -> str:
    """The link that an invitation's page shows."""
    body = {"email": f"{name}@example.org", "role": "developer", "days": 1}
    token = provided.call("POST", "/organizations/local/invitations", body).json()["token"]
    return f"/console-invitation#{token}"


def accept(page: Page, link: str) -> None:
    page.goto(link)
    page.get_by_role("link", name="Log in with Acme").click()
    expect(page.get_by_label("Invitation")).to_have_value(link.partition("#")[2])
    page.get_by_role("button", name="Become a member").click()
    expect(page.get_by_role("heading", name="Jobs", exact=True)).to_be_visible()


def test_somebody_invited_logs_in_at_the_provider_and_is_a_member(
    browser: BrowserContext, provided: Installation
) -> None:
    link = invited(provided, "ada")
    at_the_provider_as(browser, "ada")
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url + str(request.headers) + str(request.post_data)))
    accept(page, link)
    token = link.partition("#")[2]
    assert [each.count(token) for each in asked if token in each] == [1]  # in the form alone
    assert page.evaluate("sessionStorage.getItem('invitation')") is None
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_text("You have logged out.")).to_be_visible()
    page.get_by_role("link", name="Log in with Acme").click()
    expect(page.get_by_role("heading", name="Jobs", exact=True)).to_be_visible()


def test_a_login_by_key_ends_the_login_that_the_browser_had(
    chromium: Browser, browser: BrowserContext, provided: Installation
) -> None:
    at_the_provider_as(browser, "grace")
    page = browser.new_page()
    accept(page, invited(provided, "grace"))
    former = browser.cookies(provided.address)
    log_in(page, provided.key)
    with open_context(chromium, provided.address) as thief:
        thief.add_cookies([{"name": each["name"], "value": each["value"], "url": provided.address} for each in former])
        stolen = thief.new_page()
        stolen.goto("/console")
        expect(stolen.get_by_role("heading", name="Log in to AI-CD")).to_be_visible()
    events = provided.call("GET", "/organizations/local/audit?limit=5").json()["items"]
    assert "session.closed" in [each["action"] for each in events]


def test_who_cancels_at_the_provider_is_told_so(browser: BrowserContext) -> None:
    page = browser.new_page()
    page.goto("/login")
    page.get_by_role("link", name="Log in with Acme").click()
    expect(page.get_by_text("The login was cancelled")).to_be_visible()
