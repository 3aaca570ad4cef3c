"""Repositories, issues, comments, labels and people."""

from aicd_github.testing.github.asking import RefusedError, level_of
from aicd_github.testing.github.calls import Call, Reply, invalid, ref_sha
from aicd_github.testing.github.shapes import stamp
from aicd_github.testing.github.state import LEVELS, Comment, Issue, Repository, next_id, now

_LONGEST_LABEL = 50
_REACTIONS = frozenset({"+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes"})


def get_repository(call: Call) -> Reply:
    return Reply(call.shapes.repository(call.repo("metadata")))


def get_ref(call: Call) -> Reply:
    repo = call.repo("contents")
    name = f"refs/{call.path['ref']}"
    sha = ref_sha(repo, name)
    if sha is None:
        raise RefusedError(404, "Not Found")
    here = f"{call.shapes.api}/repos/{repo.full_name}/git"
    target = {"type": "commit", "sha": sha, "url": f"{here}/commits/{sha}"}
    return Reply({"ref": name, "node_id": f"REF_{sha}", "url": f"{here}/{name}", "object": target})


def get_issue(call: Call) -> Reply:
    repo = call.repo("issues")
    return Reply(call.shapes.issue(repo, call.issue(repo)))


def list_comments(call: Call) -> Reply:
    repo = call.repo("issues")
    issue = call.issue(repo)
    return call.listed([call.shapes.comment(repo, issue, comment) for comment in issue.comments])


def create_comment(call: Call) -> Reply:
    repo = call.repo("issues", "write")
    issue = call.issue(repo)
    made = Comment(call.token.user, call.text("body"))
    issue.comments.append(made)
    return Reply(call.shapes.comment(repo, issue, made), 201)


def update_comment(call: Call) -> Reply:
    repo = call.repo("issues", "write")
    issue, comment = _comment(repo, int(call.path["comment_id"]))
    comment.body, comment.updated_at = call.text("body"), now()
    return Reply(call.shapes.comment(repo, issue, comment))


def add_reaction(call: Call) -> Reply:
    repo = call.repo("issues", "write")
    _, comment = _comment(repo, int(call.path["comment_id"]))
    content, user = call.text("content"), call.token.user
    if content not in _REACTIONS:
        raise invalid("content", "invalid")
    there = (user.login, content) in comment.reactions
    number = comment.reactions.setdefault((user.login, content), next_id())
    told = {"id": number, "node_id": f"REA_{number}", "content": content, "user": call.shapes.user(user)}
    return Reply({**told, "created_at": stamp(now())}, 200 if there else 201)


def _comment(repo: Repository, number: int) -> tuple[Issue, Comment]:
    for issue in repo.issues.values():
        for comment in issue.comments:
            if comment.id == number:
                return issue, comment
    raise RefusedError(404, "Not Found")


def add_labels(call: Call) -> Reply:
    repo = call.repo("issues", "write")
    issue = call.issue(repo)
    for name in call.sent.get("labels", []):
        if len(name) > _LONGEST_LABEL:
            raise invalid("name", "too_long")
        if name not in issue.labels:
            issue.labels.append(name)
    return Reply([call.shapes.label(repo, name) for name in issue.labels])


def remove_label(call: Call) -> Reply:
    repo = call.repo("issues", "write")
    issue = call.issue(repo)
    if call.path["name"] not in issue.labels:
        raise RefusedError(404, "Label does not exist")
    issue.labels.remove(call.path["name"])
    return Reply([call.shapes.label(repo, name) for name in issue.labels])


def get_permission(call: Call) -> Reply:
    repo = call.repo("metadata")
    user = call.world.users.get(call.path["username"])
    if user is None:
        raise RefusedError(404, f"{call.path['username']} is not a user")
    role = level_of(repo, user.login)
    told = {"maintain": "write", "triage": "read"}.get(role, role)
    flags = {"admin": "admin", "maintain": "maintain", "push": "write", "triage": "triage", "pull": "read"}
    permissions = {name: LEVELS.index(role) >= LEVELS.index(level) for name, level in flags.items()}
    person = call.shapes.user(user) | {"role_name": role, "permissions": permissions}
    return Reply({"permission": told, "role_name": role, "user": person})


def get_user(call: Call) -> Reply:
    user = call.token.user
    if call.token.installation is not None:
        raise RefusedError(403, "Resource not accessible by integration")
    empty = dict.fromkeys(("bio", "blog", "company", "email", "hireable", "location", "name"))
    own = ("collaborators", "disk_usage", "owned_private_repos", "private_gists", "total_private_repos")
    counts = dict.fromkeys(("followers", "following", "public_gists", "public_repos", *own), 0)
    times = dict.fromkeys(("created_at", "updated_at"), "2020-01-01T00:00:00Z")
    return Reply(
        call.shapes.user(user)
        | empty
        | counts
        | times
        | {"two_factor_authentication": True, "user_view_type": "private"}
    )
