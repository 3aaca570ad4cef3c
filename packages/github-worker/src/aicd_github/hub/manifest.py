"""Making a GitHub App from a manifest: what it may do and what it hears of, declared once.

https://docs.github.com/en/apps/sharing-github-apps/registering-a-github-app-from-a-manifest
"""

import html
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from aicd_core.errors import UnavailableError
from aicd_github.hub.address import web_of
from aicd_github.hub.api import Api, Question, UnheardError
from aicd_github.hub.refusals import out_of_reach, refused

PERMISSIONS: Mapping[str, str] = MappingProxyType(
    {
        "actions": "read",
        "checks": "write",
        "contents": "write",
        "issues": "write",
        "metadata": "read",
        "pull_requests": "write",
        "statuses": "read",
    }
)
EVENTS = (
    *("check_run", "check_suite", "issue_comment", "issues", "pull_request", "pull_request_review"),
    *("pull_request_review_comment", "push", "status", "repository", "installation_target"),
)
_HOMEPAGE = "https://example.com/aicd"
_PAGE = """<!doctype html><title>AI-CD</title><p>Going to GitHub to make the App…</p>
<form id="f" method="post" action="{action}"><input type="hidden" name="manifest" value="{manifest}">
<button>Make the App on GitHub</button></form><script>document.getElementById("f").submit()</script>
"""


@dataclass(frozen=True)
class MadeApp:
    """An App that GitHub made. Its secrets show in no representation."""

    app_id: int
    slug: str
    page: str
    private_key: str = field(repr=False)
    webhook_secret: str | None = field(repr=False)


def manifest(name: str, webhook_url: str | None, callback: str) -> dict[str, Any]:
    """What the App is to be. Without an address for webhooks, none are sent until one is set on its page."""
    hook = {"url": webhook_url or _HOMEPAGE, "active": webhook_url is not None}
    return {
        "name": name,
        "url": _HOMEPAGE,
        "hook_attributes": hook,
        "redirect_url": callback,
        "public": False,
        "default_permissions": dict(PERMISSIONS),
        "default_events": list(EVENTS),
    }


def page(api_url: str, organization: str | None, wanted: Mapping[str, Any], state: str) -> str:
    """The page that hands the manifest to GitHub."""
    owner = f"organizations/{organization}/settings" if organization else "settings"
    action = f"{web_of(api_url)}/{owner}/apps/new?state={state}"
    return _PAGE.format(action=html.escape(action), manifest=html.escape(json.dumps(wanted)))


async def convert(api: Api, code: str) -> MadeApp:
    """The App behind a code, which is good once and for an hour.

    Not repeated: GitHub forgets a code once it was used, and the App's key with it.

    Raises:
        UnavailableError: GitHub does not answer. An App that was made without a word can be deleted on its page.
        AicdError: GitHub refuses.
    """
    what = "The App could not be taken over"
    try:
        answer = await api.ask(Question("POST", f"/app-manifests/{code}/conversions"), None)
    except UnheardError as error:
        raise out_of_reach(what, f"it does not answer ({error}); delete the App on its page and begin anew") from error
    if answer.status >= 500:
        raise UnavailableError(
            f"{what}: GitHub failed (status {answer.status}). Begin anew.", code="github_unavailable"
        )
    if not answer.ok:
        raise refused(what, answer)
    data = answer.data
    return MadeApp(data["id"], data["slug"], data["html_url"], data["pem"], data["webhook_secret"])
