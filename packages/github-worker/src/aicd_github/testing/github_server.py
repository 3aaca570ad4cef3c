"""A GitHub on the loopback: its REST API, and its repositories through `git http-backend` behind token auth.

It has the addresses of GitHub Enterprise Server: the API below `/api/v3`, repositories at `/OWNER/NAME.git`. What its
answers look like is checked against GitHub's own description of them (tests/test_github_answers.py); what it refuses
follows GitHub's documentation. It is no GitHub: rulesets, forks, the rest of GraphQL and everything else that the
product does not use are missing.
"""

import asyncio
import hashlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from aicd_github.testing.git_server import BackendRequest, http_backend, run_git
from aicd_github.testing.github import apps, checks, drafts, issues, pulls
from aicd_github.testing.github.asking import RefusedError, Who, require, who
from aicd_github.testing.github.calls import Call, Reply
from aicd_github.testing.github.faults import Fault
from aicd_github.testing.github.shapes import Shapes
from aicd_github.testing.github.state import App, Exchange, Installation, Issue, Repository, Token, World

Handler = Callable[[Call], Reply]
PREFIX = "/api/v3"
GRAPHQL = "/graphql"
"""Served beside the REST API: the two mutations that it lacks."""
_REPO = "/repos/{owner}/{repo}"

ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/app", apps.get_app),
    ("GET", "/app/installations/{installation_id}", apps.get_installation),
    ("POST", "/app/installations/{installation_id}/access_tokens", apps.create_token),
    ("POST", "/app-manifests/{code}/conversions", apps.convert_manifest),
    ("GET", "/user", issues.get_user),
    ("GET", _REPO, issues.get_repository),
    ("GET", f"{_REPO}/installation", apps.installation_of_repository),
    ("GET", f"{_REPO}/git/ref/{{ref}}", issues.get_ref),
    ("GET", f"{_REPO}/collaborators/{{username}}/permission", issues.get_permission),
    ("GET", f"{_REPO}/issues/{{issue_number}}", issues.get_issue),
    ("GET", f"{_REPO}/issues/{{issue_number}}/comments", issues.list_comments),
    ("POST", f"{_REPO}/issues/{{issue_number}}/comments", issues.create_comment),
    ("PATCH", f"{_REPO}/issues/comments/{{comment_id}}", issues.update_comment),
    ("POST", f"{_REPO}/issues/comments/{{comment_id}}/reactions", issues.add_reaction),
    ("POST", f"{_REPO}/issues/{{issue_number}}/labels", issues.add_labels),
    ("DELETE", f"{_REPO}/issues/{{issue_number}}/labels/{{name}}", issues.remove_label),
    ("GET", f"{_REPO}/pulls", pulls.list_pulls),
    ("POST", f"{_REPO}/pulls", pulls.create_pull),
    ("GET", f"{_REPO}/pulls/{{pull_number}}", pulls.get_pull),
    ("PATCH", f"{_REPO}/pulls/{{pull_number}}", pulls.update_pull),
    ("GET", f"{_REPO}/pulls/{{pull_number}}/reviews", pulls.list_reviews),
    ("GET", f"{_REPO}/pulls/{{pull_number}}/comments", pulls.list_review_comments),
    ("POST", f"{_REPO}/pulls/{{pull_number}}/comments/{{comment_id}}/replies", pulls.reply_to_comment),
    ("POST", f"{_REPO}/pulls/{{pull_number}}/requested_reviewers", pulls.request_reviewers),
    ("POST", f"{_REPO}/check-runs", checks.create_check),
    ("PATCH", f"{_REPO}/check-runs/{{check_run_id}}", checks.update_check),
    ("GET", f"{_REPO}/commits/{{ref}}/check-runs", checks.list_checks),
    ("GET", f"{_REPO}/commits/{{ref}}/status", checks.get_status),
    ("GET", f"{_REPO}/actions/jobs/{{job_id}}/logs", checks.job_logs),
)
"""What is served, by the templates of GitHub's own description."""


@dataclass
class GitHubServer:
    """A running stand-in.

    Args:
        root: the folder that holds its bare repositories.
        host: the address that it listens on.
        tls: a folder with `fullchain.pem` and `privkey.pem`; None: in the clear.
    """

    root: Path
    world: World = field(default_factory=World)
    port: int = 0
    host: str = "127.0.0.1"
    tls: Path | None = None

    @property
    def web(self) -> str:
        return f"{'http' if self.tls is None else 'https'}://{self.host}:{self.port}"

    @property
    def api(self) -> str:
        return f"{self.web}{PREFIX}"

    @property
    def shapes(self) -> Shapes:
        return Shapes(self.api, self.web)

    def add_repository(self, owner: str, name: str, source: Path, **options: Any) -> Repository:
        """A repository with the branches of one on this machine."""
        folder = self.root / owner / f"{name}.git"
        folder.parent.mkdir(parents=True, exist_ok=True)
        done = run_git(self.root, "clone", "--quiet", "--bare", str(source), str(folder))
        assert done.returncode == 0, done.stderr.decode()
        for setting in ("http.receivepack", "uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
            run_git(folder, "config", setting, "true")
        repo = Repository(self.world.user(owner, "Organization"), name, folder, **options)
        self.world.repositories.append(repo)
        return repo

    def rename(self, repo: Repository, name: str) -> None:
        """Gives a repository another name; the API answers to the one before by saying that it moved."""
        self.world.former[repo.full_name] = repo
        repo.folder = repo.folder.rename(repo.folder.with_name(f"{name}.git"))
        repo.name = name

    def add_issue(self, repo: Repository, title: str, body: str, by: str) -> Issue:
        """An issue by somebody."""
        number = repo.next_number()
        repo.issues[number] = Issue(number, self.world.user(by), title, body)
        return repo.issues[number]

    def add_app(self, slug: str, public_key: str, permissions: dict[str, str]) -> App:
        """An app, and the public half of its key in PEM."""
        app = App(slug, self.world.user("maker"), public_key, permissions)
        self.world.apps.append(app)
        return app

    def install(self, app: App, *repos: Repository) -> Installation:
        """The app on these repositories, which have one owner."""
        made = Installation(app, repos[0].owner, dict(app.permissions), {repo.id for repo in repos})
        self.world.installations.append(made)
        return made

    def add_token(self, login: str) -> str:
        """A person's own token."""
        token = Token(self.world.user(login))
        self.world.tokens.append(token)
        return token.secret

    def calls(self, method: str, route: str) -> list[Exchange]:
        """The calls of a route that took effect."""
        return [
            call
            for call in self.world.exchanges
            if (call.method, call.route) == (method, route) and call.status < 300 and call.fault in (None, Fault.LOST)
        ]


@contextmanager
def serving_github(server: GitHubServer) -> Iterator[GitHubServer]:
    """Runs the stand-in on a free port while the block runs."""
    listening = socket.create_server((server.host, 0))
    server.port = listening.getsockname()[1]
    options = uvicorn.Config(_application(server), log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
    if server.tls is not None:
        options.ssl_certfile = server.tls / "fullchain.pem"
        options.ssl_keyfile = server.tls / "privkey.pem"
    running = uvicorn.Server(options)
    thread = threading.Thread(target=lambda: asyncio.run(running.serve([listening])))
    thread.start()
    try:
        yield server
    finally:
        running.should_exit = True
        thread.join()
        listening.close()


def _application(server: GitHubServer) -> Starlette:
    routes = [_route(server, *declared) for declared in ROUTES]
    routes.append(Route("/_logs/{job_id}", _endpoint(server, "/_logs/{job_id}", checks.stored_log)))
    routes.append(Route("/api/graphql", _endpoint(server, GRAPHQL, drafts.mutate), methods=["POST"]))
    git = _GitEndpoint(server)
    routes.append(Route("/{owner}/{name}/{rest:path}", git.answer, methods=["GET", "POST"]))
    return Starlette(routes=routes)


def _route(server: GitHubServer, method: str, template: str, handler: Handler) -> Route:
    path = PREFIX + template.replace("{ref}", "{ref:path}")
    return Route(path, _endpoint(server, template, handler), methods=[method])


def _endpoint(server: GitHubServer, template: str, handler: Handler) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        fault = server.world.faults.next(request.method, template)
        raw = await request.body()
        sent = json.loads(raw) if raw else {}
        reply = _faulty(server, fault)
        if reply is None:
            reply = await run_in_threadpool(_handled, server, request, handler, sent)
        exchange = (request.method, template, request.url.path, sent, reply.status, reply.body, fault)
        server.world.exchanges.append(Exchange(*exchange))
        if fault is Fault.LOST:
            while (await request.receive())["type"] != "http.disconnect":
                pass
        return _response(server, request, reply)

    return answer


def _handled(server: GitHubServer, request: Request, handler: Handler, sent: Any) -> Reply:
    try:
        asker = who(server.world, request.headers.get("authorization"))
        call = Call(server.world, server.shapes, asker, request.path_params, request.query_params, sent)
        return handler(call)
    except RefusedError as refusal:
        return Reply(refusal.body, refusal.status)


def _faulty(server: GitHubServer, fault: Fault | None) -> Reply | None:
    """The answer of a call that fails before it takes effect."""
    world = server.world
    if fault is Fault.SERVER_ERROR:
        return Reply({"message": "Server Error"}, 500)
    if fault is Fault.BAD_GATEWAY:
        return Reply("<html><h1>502 Bad Gateway</h1></html>", 502, text=True)
    if fault is Fault.UNAUTHORIZED:
        return Reply({"message": "Bad credentials"}, 401)
    if fault is Fault.SECONDARY_LIMIT:
        told = {"message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}
        return Reply(told, 403, {"Retry-After": str(world.faults.wait)})
    if fault is Fault.PRIMARY_LIMIT:
        reset = str(int(datetime.now(UTC).timestamp()) + world.faults.wait)
        headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}
        return Reply({"message": "API rate limit exceeded for installation ID 1."}, 403, headers)
    return None


def _response(server: GitHubServer, request: Request, reply: Reply) -> Response:
    world = server.world
    world.remaining -= 1
    reset = str(int(datetime.now(UTC).timestamp()) + 3600)
    headers = {"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": str(world.remaining), "X-RateLimit-Reset": reset}
    headers |= dict(reply.headers or {})
    content = reply.body.encode() if reply.text else json.dumps(reply.body).encode()
    kind = "text/plain" if reply.text else "application/json; charset=utf-8"
    if request.method == "GET" and reply.status == 200:
        tag = f'W/"{hashlib.sha256(content).hexdigest()}"'
        headers |= {"ETag": tag, "Cache-Control": "private, max-age=60, s-maxage=60", "Vary": "Accept, Authorization"}
        if request.headers.get("if-none-match") == tag:
            world.remaining += 1
            world.exchanges[-1].status = 304
            return Response(status_code=304, headers=headers)
    return Response(b"" if reply.status == 302 else content, reply.status, headers, media_type=kind)


@dataclass(frozen=True)
class _GitEndpoint:
    """Repositories over HTTP: a token's permission on contents decides who may fetch and who may push."""

    server: GitHubServer

    async def answer(self, request: Request) -> Response:
        owner, name = request.path_params["owner"], request.path_params["name"].removesuffix(".git")
        body = await request.body()
        pushes = "receive-pack" in str(request.url)
        refused = await run_in_threadpool(self._refusal, request, owner, name, "write" if pushes else "read")
        if refused is not None:
            challenge = {"WWW-Authenticate": 'Basic realm="GitHub"'} if refused.status == 401 else {}
            return Response(str(refused), refused.status, challenge, media_type="text/plain")
        if pushes and request.method == "POST":
            self.server.world.git_pushes.append(f"{owner}/{name}")
        headers = {key.lower(): value for key, value in request.headers.items()}
        path = f"/{owner}/{name}.git/{request.path_params['rest']}"
        asked = BackendRequest(request.method, path, request.url.query, body, headers)
        status, told, content = await run_in_threadpool(http_backend, self.server.root, asked)
        return Response(content, status, dict(told))

    def _refusal(self, request: Request, owner: str, name: str, access: str) -> RefusedError | None:
        try:
            asker = who(self.server.world, request.headers.get("authorization"))
            self._require(asker, owner, name, access)
        except RefusedError as refusal:
            return refusal
        return None

    def _require(self, asker: Who, owner: str, name: str, access: str) -> None:
        repo = self.server.world.repository(owner, name)
        if asker.token is None:
            if repo is not None and not repo.private and access == "read":
                return
            raise RefusedError(401, "Authentication required")
        if repo is None:
            raise RefusedError(404, "Not Found")
        require(asker.token, repo, "contents", access)
