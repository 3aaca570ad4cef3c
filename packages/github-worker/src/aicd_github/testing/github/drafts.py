"""The two mutations of GraphQL that make a pull request a draft, and ready for review again.

https://docs.github.com/graphql/reference/mutations#convertpullrequesttodraft
"""

from typing import Any

from aicd_github.testing.github.asking import RefusedError, require
from aicd_github.testing.github.calls import Call, Reply
from aicd_github.testing.github.state import Pull, Repository

_MUTATIONS = {"convertPullRequestToDraft": True, "markPullRequestReadyForReview": False}


def mutate(call: Call) -> Reply:
    token, text = call.token, str(call.sent.get("query"))
    named = [name for name in _MUTATIONS if f"{name}(" in text]
    node = call.sent.get("variables", {}).get("id")
    if len(named) != 1 or not text.startswith("mutation("):
        return _refused("Parse error")
    found = _find(call, node)
    if found is None:
        return _refused(f"Could not resolve to a node with the global id of '{node}'", "NOT_FOUND")
    repo, pull = found
    try:
        require(token, repo, "pull_requests", "write")
    except RefusedError as error:
        return _refused(str(error), "FORBIDDEN")
    draft = _MUTATIONS[named[0]]
    if draft and not repo.drafts:
        return _refused("Draft pull requests are not supported in this repository.", "UNPROCESSABLE")
    pull.draft = draft
    return Reply({"data": {named[0]: {"pullRequest": {"isDraft": draft}}}})


def _find(call: Call, node: Any) -> tuple[Repository, Pull] | None:
    pulls = ((repo, pull) for repo in call.world.repositories for pull in repo.pulls.values())
    return next(((repo, pull) for repo, pull in pulls if f"PR_{pull.id}" == node), None)


def _refused(message: str, kind: str = "") -> Reply:
    return Reply({"data": None, "errors": [{"type": kind, "message": message}]})
