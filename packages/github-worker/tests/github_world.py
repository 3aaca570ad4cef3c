"""A GitHub stand-in with one repository in it, for tests."""

from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from aicd_core.contracts import ChangeSet, CommitRequest, PullRequest, PullRequestDraft
from aicd_core.ids import JobId
from aicd_github.hub.address import RepositoryAddress
from aicd_github.hub.api import Api, AppKey
from aicd_github.hub.host import GitHubCodeHost
from aicd_github.hub.tokens import App
from aicd_github.testing.github.state import App as ServedApp
from aicd_github.testing.github.state import Installation, Repository
from aicd_github.testing.github_server import GitHubServer

PERMISSIONS = {
    **dict.fromkeys(("contents", "issues", "pull_requests", "checks"), "write"),
    **dict.fromkeys(("metadata", "statuses", "actions"), "read"),
}

DRAFT = PullRequestDraft(
    title="Fix the sum", body="It was off by one.\n", draft=False, issue=1, paths=("new.txt",), verdict="Policy: allow"
)


def make_key() -> tuple[str, str]:
    """An RSA key as an App has one: private and public half in PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


@dataclass
class Hub:
    """The running stand-in, its repository `acme/project`, and an App on it."""

    server: GitHubServer
    repo: Repository
    served_app: ServedApp
    installed: Installation
    private_key: str

    @property
    def address(self) -> RepositoryAddress:
        return RepositoryAddress(self.server.api, "acme", "project")

    def api(self, timeout: float = 20) -> Api:
        return Api(self.server.api, timeout)

    def app(self, timeout: float = 20) -> App:
        return App(self.api(timeout), AppKey(self.served_app.id, self.private_key))


async def published(
    host: GitHubCodeHost,
    job: JobId,
    request_for: Callable[[ChangeSet], CommitRequest],
    draft: PullRequestDraft = DRAFT,
    text: bytes = b"x",
) -> PullRequest:
    """A job's round: a file with this text, published."""
    base = await host.resolve_base(None)
    checkout = await host.open(job, base.sha)
    await checkout.workspace.write("new.txt", text)
    head = await checkout.commit(request_for(await checkout.capture(())))
    return await host.publish(job, checkout, head, base, draft)
