"""What people do in the console, from the first run on."""

import re

from console_world import Installation, MakeJob, log_in, open_context
from playwright.sync_api import Browser, BrowserContext, Page, expect

from github_town import GitHub

PULL = "Pull request open"


def state(page: Page):
    return page.locator("#job-state")


def test_from_the_first_run_to_an_open_pull_request(page: Page, fresh: Installation) -> None:
    page.goto(f"{fresh.address}/")
    expect(page).to_have_url(re.compile(r"/login\?return_to=%2Fconsole$"))
    page.get_by_label("API key").fill(fresh.key)
    page.get_by_role("button", name="Log in", exact=True).click()
    page.get_by_role("link", name="Connect a repository").click()
    page.get_by_label("Clone URL or path").fill(str(fresh.repository))
    page.get_by_role("button", name="Connect").click()
    expect(page.get_by_text("The repository is connected.")).to_be_visible()
    page.get_by_role("link", name="Jobs", exact=True).click()
    page.get_by_role("link", name="Make the first job").click()
    page.get_by_label("Issue", exact=True).fill(fresh.issue())
    page.get_by_role("button", name="Make the job").click()
    expect(page.get_by_text("The job was made.")).to_be_visible()
    expect(state(page)).to_have_text(PULL)
    expect(page.locator("#pull-link")).to_contain_text("/pulls/")
    page.get_by_role("link", name="Log", exact=True).click()
    expect(page.locator("#job-log")).to_contain_text("python3 -m unittest -q")
    page.get_by_role("link", name="Changes").click()
    expect(page.locator("table.diff")).to_contain_text("import re")
    page.get_by_role("link", name="Tests", exact=True).click()
    expect(page.get_by_text("passed").first).to_be_visible()
    page.get_by_role("link", name="Policy and reviews").click()
    expect(page.get_by_role("heading", name="Review of round 2")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="The evidence file").click()
    assert download.value.suggested_filename.endswith(".evidence.json")


def test_a_plan_is_approved_and_other_pages_see_it_without_reloading(
    context: BrowserContext, inside: Page, make_job: MakeJob
) -> None:
    watcher, listing, log = context.new_page(), context.new_page(), context.new_page()
    listing.goto("/console/local/jobs")
    job = make_job(asks_approval=True)
    watcher.goto(f"/console/local/jobs/{job}")
    log.goto(f"/console/local/jobs/{job}/log")
    for each in (watcher, listing, log):
        each.evaluate("window.sameAsBefore = true")
    row = listing.locator("tr", has=listing.locator(f"#job-{job}"))
    expect(row).to_contain_text("Awaiting approval")
    expect(watcher.get_by_role("button", name="Approve the plan")).to_be_visible()
    inside.goto(f"/console/local/jobs/{job}")
    inside.get_by_role("button", name="Approve the plan").click()
    expect(inside.get_by_text("The plan was approved. Coding begins.")).to_be_visible()
    expect(state(watcher)).to_have_text(PULL)
    expect(watcher.get_by_role("button", name="Approve the plan")).to_have_count(0)
    expect(row).to_contain_text(PULL)
    expect(log.locator("#job-log")).to_contain_text("python3 -m unittest -q")
    for each in (watcher, listing, log):
        assert each.evaluate("window.sameAsBefore") is True


def test_a_plan_is_sent_back_with_a_comment(inside: Page, make_job: MakeJob) -> None:
    inside.goto(f"/console/local/jobs/{make_job(asks_approval=True)}")
    inside.get_by_label("What the planner should do otherwise").fill("Take the second one, please.")
    inside.get_by_role("button", name="Send back").click()
    expect(inside.get_by_text("goes back to the planner")).to_be_visible()
    expect(inside.locator(".timeline")).to_contain_text("Take the second one, please.")
    expect(state(inside)).to_have_text("Failed")  # without a model there is no other plan of that issue
    expect(inside.get_by_role("button", name="Retry")).to_be_visible()


def test_a_job_is_cancelled_and_tried_again(inside: Page, make_job: MakeJob) -> None:
    job = make_job(asks_approval=True)
    inside.goto(f"/console/local/jobs/{job}")
    inside.locator("summary", has_text="Cancel the job").click()
    inside.get_by_label("Why").fill("Not this week")
    inside.get_by_role("button", name="Cancel the job").click()
    expect(state(inside)).to_have_text("Cancelled")
    expect(inside.get_by_text("Not this week").first).to_be_visible()
    expect(inside.locator("#live-mark")).to_have_text("")  # nothing more will happen
    inside.get_by_role("button", name="Retry").click()
    expect(inside.get_by_text("This is a new job of the same issue.")).to_be_visible()
    expect(inside.get_by_role("link", name="an earlier job")).to_have_attribute("href", f"/console/local/jobs/{job}")


def test_a_job_that_reached_its_limit_goes_on_once_it_is_raised(
    inside: Page, make_job: MakeJob, slow_repository_id: str
) -> None:
    job = make_job(repository_id=slow_repository_id, time_limit_seconds=1)
    inside.goto(f"/console/local/jobs/{job}")
    expect(state(inside)).to_have_text("Paused")
    inside.get_by_label("Time limit, minutes at work").fill("30")
    inside.get_by_role("button", name="Raise and go on").click()
    expect(inside.get_by_text("The limits were raised")).to_be_visible()
    expect(state(inside)).to_have_text(PULL)


def test_what_belongs_to_another_organization_is_not_found(
    page: Page, installation: Installation, make_job: MakeJob
) -> None:
    ours = make_job(asks_approval=True)
    theirs = installation.aicd("admin", "bootstrap", "--org", "rival", "--email", "eve@example.org").strip()
    log_in(page, theirs)
    for path in ("/console/local/jobs", f"/console/local/jobs/{ours}", f"/console/rival/jobs/{ours}"):
        answer = page.goto(path)
        assert answer is not None
        assert answer.status == 404
        expect(page.get_by_role("heading", name="Not found")).to_be_visible()
        assert "Slugs, take" not in page.content()


def test_a_login_that_has_ended_leads_to_the_login_page_and_back(page: Page, installation: Installation) -> None:
    made = installation.call(
        "POST", "/organizations/local/api-keys", {"name": "for a while", "scopes": ["jobs:read", "policies:read"]}
    ).json()
    log_in(page, made["token"])
    page.goto("/console/local/policy")
    installation.call("DELETE", f"/organizations/local/api-keys/{made['key']['id']}")
    page.goto("/console/local/jobs?q=slugs")
    expect(page.get_by_role("heading", name="Log in to AI-CD")).to_be_visible()
    page.get_by_label("API key").fill(installation.key)
    page.get_by_role("button", name="Log in", exact=True).click()
    expect(page).to_have_url(re.compile(r"/console/local/jobs\?q=slugs$"))


def log_in_again(page: Page, installation: Installation) -> None:
    expect(page.get_by_role("heading", name="Log in to AI-CD")).to_be_visible()
    page.get_by_label("API key").fill(installation.key)
    page.get_by_role("button", name="Log in", exact=True).click()


def test_what_was_typed_is_there_again_after_a_refusal(
    inside: Page, installation: Installation, make_job: MakeJob
) -> None:
    job = make_job(asks_approval=True)
    inside.goto(f"/console/local/jobs/{job}")
    comment = inside.get_by_label("What the planner should do otherwise")
    comment.fill("Take the second one, please.")
    inside.context.clear_cookies()  # the login ends in the middle of a sentence, as what the page asks next is told
    log_in_again(inside, installation)
    expect(inside.get_by_text("What you typed is here again. It has not been sent.")).to_be_visible()
    expect(comment).to_have_value("Take the second one, please.")
    inside.route("**/jobs/*/stream", lambda route: route.abort())  # so that the page does not know yet
    inside.reload()
    comment.fill("Not that way.")
    installation.call("POST", f"/organizations/local/jobs/{job}/cancel", {"reason": "Not this week"})
    inside.get_by_role("button", name="Send back").click()
    expect(inside.get_by_role("heading", name="Not now")).to_be_visible()
    inside.get_by_role("link", name="Back to the form").click()
    expect(inside.locator("#notices")).to_contain_text("You had typed: Not that way.")
    inside.goto("/console/local/repositories")
    expect(inside.locator("#notices")).to_have_text("")
    inside.get_by_role("link", name="sample").click()
    budget = inside.get_by_label("Budget of an issue, US dollars")
    budget.fill("two")
    inside.get_by_role("button", name="Save").click()
    expect(inside.get_by_text("The budget of an issue is an amount in US dollars")).to_be_visible()
    inside.get_by_role("link", name="Back to the form").click()
    expect(budget).to_have_value("two")
    budget.fill("2")
    inside.context.clear_cookies()  # before it is sent
    inside.get_by_role("button", name="Save").click()
    log_in_again(inside, installation)
    expect(budget).to_have_value("2")
    inside.get_by_role("button", name="Save").click()
    expect(inside.get_by_text("Saved.")).to_be_visible()
    expect(inside).to_have_url(re.compile(r"/repositories/[^/?]+$"))  # the page's script is through, not only its text
    inside.reload()
    expect(budget).to_have_value("2.00")
    expect(inside.get_by_text("Saved.")).to_have_count(0)
    budget.fill("")
    inside.get_by_role("button", name="Save").click()
    expect(budget).to_have_value("")


def test_what_is_being_typed_stays_while_the_job_moves_on(
    inside: Page, installation: Installation, make_job: MakeJob
) -> None:
    job = make_job(asks_approval=True)
    inside.goto(f"/console/local/jobs/{job}")
    inside.get_by_label("What the planner should do otherwise").fill("Not that way.")
    inside.locator("summary", has_text="Cancel the job").click()
    why = inside.get_by_label("Why")
    why.fill("Not this week")
    plan = installation.call("GET", f"/organizations/local/jobs/{job}/plan").json()
    installation.call("POST", f"/organizations/local/jobs/{job}/plan/approve", {"plan_hash": plan["hash"]})
    expect(state(inside)).to_have_text(PULL)
    expect(inside.get_by_text("Its pull request is open, and stays as it is")).to_be_visible()
    expect(why).to_have_value("Not this week")
    expect(why).to_be_focused()
    expect(inside.locator("#notices")).to_contain_text("You had typed: Not that way.")


def test_times_go_on_while_a_page_is_open(inside: Page, make_job: MakeJob) -> None:
    job = make_job(asks_approval=True)
    inside.clock.install()
    inside.goto("/console/local/audit")
    changed = inside.get_by_role("row", name=job).locator("time[data-ago]")
    expect(changed).to_have_text("just now")
    inside.clock.fast_forward("02:05:00")
    expect(changed).to_have_text("2 h ago")


def test_a_form_is_sent_once_and_what_destroys_asks_first(inside: Page, installation: Installation) -> None:
    inside.goto("/console/local/keys")
    inside.get_by_label("Name", exact=True).fill("once")
    inside.get_by_label("jobs:read").check()
    inside.get_by_role("button", name="Make the key").dblclick()
    expect(inside.locator("#new-key")).to_contain_text("aicd_key_")
    keys = installation.call("GET", "/organizations/local/api-keys").json()["items"]
    assert [key["name"] for key in keys].count("once") == 1
    button = inside.get_by_role("button", name="Revoke the key once")
    expect(button).to_be_hidden()
    inside.locator("summary", has_text="Revoke").first.focus()
    inside.keyboard.press("Enter")
    expect(button).to_be_visible()
    inside.keyboard.press("Tab")
    expect(button).to_be_focused()
    inside.keyboard.press("Enter")
    expect(inside.get_by_text("Revoked.")).to_be_visible()


def test_what_somebody_may_not_do_is_not_offered(page: Page, installation: Installation, make_job: MakeJob) -> None:
    job = make_job(asks_approval=True)
    scopes = {"name": "reader", "scopes": ["jobs:read"]}
    reader = installation.call("POST", "/organizations/local/api-keys", scopes).json()["token"]
    log_in(page, reader)
    page.goto(f"/console/local/jobs/{job}")
    expect(state(page)).to_have_text("Awaiting approval")
    expect(page.get_by_role("button", name="Approve the plan")).to_have_count(0)
    expect(page.get_by_role("link", name="API keys")).to_have_count(0)
    answer = page.goto("/console/local/keys")
    assert answer is not None
    assert answer.status == 403


def test_rules_are_tried_on_past_commits_and_published(
    inside: Page, installation: Installation, repository_id: str
) -> None:
    inside.goto("/console/local/policy")
    inside.get_by_label("Added lines in a change").fill("1")
    inside.get_by_label("Past commits of").select_option(repository_id)
    inside.get_by_role("button", name="Try these rules").click()
    tried = inside.locator("#dry-run")
    expect(tried).to_contain_text("Deny")
    expect(tried).to_contain_text("size")
    inside.get_by_label("Added lines in a change").fill("4000")
    inside.get_by_label("Why").fill("Smaller changes")
    inside.get_by_role("button", name="Publish the next version").click()
    expect(inside.get_by_text("The policy was published.")).to_be_visible()
    rules = installation.call("GET", "/organizations/local/policy").json()
    assert (rules["rules"]["max_added_lines"], rules["note"]) == (4000, "Smaller changes")


def test_rules_are_tried_on_past_commits_of_a_repository_on_github(
    chromium: Browser, on_github: tuple[Installation, GitHub]
) -> None:
    installation, github = on_github
    github.push("main", "notes.txt", "new", "Change the notes")
    with open_context(chromium, installation.address) as context:
        page = log_in(context.new_page(), installation.key)
        page.goto("/console/local/repositories")
        page.get_by_label("Clone URL or path").fill(f"{github.server.web}/acme/project")
        page.get_by_label("Installation of the GitHub App").select_option("acme")
        page.get_by_role("button", name="Connect", exact=True).click()
        expect(page.get_by_text("The repository is connected.")).to_be_visible()
        page.goto("/console/local/policy")
        page.get_by_label("Protected paths").fill("notes.txt")
        page.get_by_label("Past commits of").select_option(label="acme/project")
        page.get_by_label("Commits, at most").fill("1")
        page.get_by_role("button", name="Try these rules").click()
        tried = page.locator("#dry-run")
        expect(tried.get_by_role("row")).to_have_count(2)  # one of them is the head
        expect(tried).to_contain_text("Change the notes")
        expect(tried).to_contain_text("1 deny")
        expect(tried).to_contain_text("protected_path notes.txt")
        page.get_by_label("Protected paths").fill("greet.txt")
        page.get_by_label("Commits, at most").fill("2")
        page.get_by_role("button", name="Try these rules").click()
        expect(tried.get_by_role("row")).to_have_count(3)
        expect(tried.get_by_role("row").nth(1)).to_contain_text("Allow")
        expect(tried.get_by_role("row").nth(2)).to_contain_text("Begin")
        expect(tried).to_contain_text("protected_path greet.txt")
        github.installed.removed = True
        page.get_by_role("button", name="Try these rules").click()
        expect(page.get_by_role("alert")).to_contain_text("gone")
        expect(page.get_by_label("Protected paths")).to_have_value("greet.txt")


def test_jobs_are_found_by_words_and_by_keyboard(inside: Page, make_job: MakeJob) -> None:
    make_job(issue="Mend the harpsichord", asks_approval=True)
    make_job(issue="Tune the clavichord", asks_approval=True)
    inside.goto("/console/local/jobs")
    inside.get_by_label("Search").fill("HARPSI")
    expect(inside.locator("#jobs")).to_contain_text("Mend the harpsichord")
    expect(inside.locator("#jobs")).not_to_contain_text("Tune the clavichord")
    expect(inside).to_have_url(re.compile("q=HARPSI"))
    inside.goto("/console/local/jobs")
    inside.keyboard.press("Tab")
    expect(inside.get_by_role("link", name="Skip to the content")).to_be_focused()
    inside.keyboard.press("Enter")
    assert inside.evaluate("location.hash") == "#main"
