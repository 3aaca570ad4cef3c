"""Pictures of the console's main pages, into docs/images: `make screenshots`. No test: it looks at nothing itself."""

import os
from pathlib import Path

from console_world import ROOT, Installation, MakeJob, log_in
from playwright.sync_api import Browser, expect

PLACE = Path(os.environ.get("AICD_SCREENSHOTS", ROOT / "docs" / "images"))
TITLES = ("Titles with umlauts lose letters", "Slugs keep commas and double dashes", "A slug may be empty")


def test_pictures(chromium: Browser, installation: Installation, make_job: MakeJob) -> None:
    issue = installation.issue().partition(": ")[2].partition("\n")[2]
    for title in TITLES:
        make_job(issue=f"{title}\n{issue}")
    waiting = make_job(issue=f"Runs of spaces make several dashes\n{issue}", asks_approval=True)
    make_job(issue="Make it faster\n\nIt is too slow.")
    done = make_job(issue=f"Punctuation is kept\n{issue}")
    # The documentation shows these; all of them are made for whoever looks for himself, with AICD_SCREENSHOTS.
    kept = {
        "console-jobs-light",
        "console-job-dark",
        "console-changes-light",
        "console-policy-light",
        "console-usage-light",
        "console-log-narrow",
    }
    pages = {
        "console-jobs": "jobs",
        "console-job": f"jobs/{waiting}",
        "console-changes": f"jobs/{done}/changes",
        "console-log": f"jobs/{done}/log",
        "console-review": f"jobs/{done}/review",
        "console-policy": "policy",
        "console-usage": "usage",
        "console-keys": "keys",
        "console-members": "members",
        "console-new-job": "jobs/new",
        "console-audit": "audit",
    }
    for scheme, width in (("light", 1180), ("dark", 1180), ("narrow", 400)):
        context = chromium.new_context(
            base_url=installation.address,
            viewport={"width": width, "height": 800},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        page = context.new_page()
        page.goto("/login")
        log_in(page, installation.key)
        for job, told in ((waiting, "Awaiting approval"), (done, "Pull request open")):
            page.goto(f"/console/local/jobs/{job}")
            expect(page.locator("#job-state")).to_have_text(told)
        for name, path in pages.items():
            if "AICD_SCREENSHOTS" not in os.environ and f"{name}-{scheme}" not in kept:
                continue
            page.goto(f"/console/local/{path}")
            page.screenshot(path=PLACE / f"{name}-{scheme}.png")
        context.close()
