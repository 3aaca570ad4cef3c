"""Pull requests, their reviews and threads."""

from aicd_github.testing.git_server import run_git
from aicd_github.testing.github.asking import RefusedError, level_of
from aicd_github.testing.github.calls import Call, Reply, invalid, ref_sha, refresh
from aicd_github.testing.github.pull_shapes import PullShapes
from aicd_github.testing.github.state import Issue, Pull, Repository, ReviewComment, User, now


def list_pulls(call: Call) -> Reply:
    repo = call.repo("pull_requests")
    state, head, base = (call.query.get(name) for name in ("state", "head", "base"))
    found = []
    for pull in sorted(repo.pulls.values(), key=lambda pull: -pull.issue.number):
        refresh(repo, pull)
        ours = head is None or head == f"{(pull.fork or repo).owner.login}:{pull.head}"
        if ours and (state or "open") in ("all", pull.issue.state) and base in (None, pull.base):
            found.append(PullShapes(call.shapes).pull(repo, pull, _people(call, pull)))
    return call.listed(found)


def get_pull(call: Call) -> Reply:
    return _whole(call, repo := call.repo("pull_requests"), call.pull(repo))


def create_pull(call: Call) -> Reply:
    repo = call.repo("pull_requests", "write")
    head, base = call.text("head").removeprefix(f"{repo.owner.login}:"), call.text("base")
    head_sha, base_sha = (ref_sha(repo, f"refs/heads/{name}") for name in (head, base))
    if head_sha is None:
        raise invalid("head", "invalid")
    if base_sha is None:
        raise invalid("base", "invalid")
    for pull in repo.pulls.values():
        refresh(repo, pull)
        if (pull.fork, pull.head, pull.base, pull.issue.state) == (None, head, base, "open"):
            raise invalid("head", "custom", f"A pull request already exists for {repo.owner.login}:{head}.")
    if head_sha == base_sha:
        raise invalid("head", "custom", f"No commits between {base} and {head}")
    draft = bool(call.sent.get("draft"))
    if draft and not repo.drafts:
        raise RefusedError(422, "Draft pull requests are not supported in this repository.")
    number = repo.next_number()
    issue = Issue(number, call.token.user, call.text("title"), call.text("body", needed=False))
    repo.issues[number] = issue
    repo.pulls[number] = pull = Pull(issue, head, base, draft, head_sha, base_sha)
    return _whole(call, repo, pull, 201)


def update_pull(call: Call) -> Reply:
    repo = call.repo("pull_requests", "write")
    pull = call.pull(repo)
    for name in ("title", "body", "state"):
        if name in call.sent:
            setattr(pull.issue, name, call.text(name, needed=name != "body"))
    pull.issue.updated_at = now()
    return _whole(call, repo, pull)


def request_reviewers(call: Call) -> Reply:
    repo = call.repo("pull_requests", "write")
    pull = call.pull(repo)
    people, teams = call.sent.get("reviewers", []), call.sent.get("team_reviewers", [])
    if pull.issue.user.login in people:
        raise RefusedError(422, "Review cannot be requested from pull request author.")
    if any(level_of(repo, name) == "none" for name in people) or not repo.teams.issuperset(teams):
        raise RefusedError(422, "Reviews may only be requested from collaborators.")
    pull.reviewers += [name for name in people if name not in pull.reviewers]
    pull.teams += [name for name in teams if name not in pull.teams]
    return Reply(PullShapes(call.shapes).pull(repo, pull, _people(call, pull)), 201)


def list_reviews(call: Call) -> Reply:
    repo = call.repo("pull_requests")
    pull = call.pull(repo)
    return call.listed([PullShapes(call.shapes).review(repo, pull, review) for review in pull.reviews])


def list_review_comments(call: Call) -> Reply:
    repo = call.repo("pull_requests")
    pull = call.pull(repo)
    return call.listed([PullShapes(call.shapes).review_comment(repo, pull, comment) for comment in pull.comments])


def reply_to_comment(call: Call) -> Reply:
    repo = call.repo("pull_requests", "write")
    pull = call.pull(repo)
    first = next((comment for comment in pull.comments if comment.id == int(call.path["comment_id"])), None)
    if first is None:
        raise RefusedError(404, "Not Found")
    made = ReviewComment(call.token.user, call.text("body"), first.path, first.line, first.commit_id)
    made.in_reply_to = first.in_reply_to or first.id
    pull.comments.append(made)
    return Reply(PullShapes(call.shapes).review_comment(repo, pull, made), 201)


def _people(call: Call, pull: Pull) -> list[User]:
    return [call.world.user(login) for login in pull.reviewers]


def _whole(call: Call, repo: Repository, pull: Pull, status: int = 200) -> Reply:
    told = PullShapes(call.shapes).pull(repo, pull, _people(call, pull), whole=True)
    fits = run_git(repo.folder, "merge-tree", "--write-tree", pull.base_sha, pull.head_sha).returncode == 0
    return Reply({**told, "mergeable": fits, "mergeable_state": "clean" if fits else "dirty"}, status)
