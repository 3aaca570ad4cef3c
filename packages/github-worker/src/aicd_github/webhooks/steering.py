"""Starting and steering jobs from GitHub: all of it, put together."""

from collections.abc import Iterable
from typing import Any

from aicd_core.orchestrator import Parts
from aicd_github.webhooks.places import HostAt, Places
from aicd_github.webhooks.routing import Route
from aicd_github.webhooks.steering_comments import CommentHandlers
from aicd_github.webhooks.steering_gate import Gate
from aicd_github.webhooks.steering_issues import IssueHandlers
from aicd_github.webhooks.steering_jobs import Steering
from aicd_github.webhooks.steering_names import NameHandlers
from aicd_github.webhooks.steering_pulls import PullHandlers


def steering_routes(parts: Parts, host_at: HostAt) -> Iterable[Route[Any]]:
    """The routes of what starts, steers and ends jobs."""
    settings = parts.settings
    places = Places(parts.database, settings.github_api_url, host_at)
    gate, steering = Gate(parts.database), Steering(parts)
    return (
        *IssueHandlers(places, gate, steering, settings.github_label).routes(),
        *CommentHandlers(places, gate, steering).routes(),
        *PullHandlers(places, steering).routes(),
        *NameHandlers(places, parts.database).routes(),
    )
