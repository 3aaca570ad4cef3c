"""Answers about organizations, and about who asks."""

from aicd_backend.examples.common import HEAD_SHA, INSTALLATION, LATER, REPOSITORY, THEN, USER, an_id
from aicd_backend.health import Health
from aicd_backend.routes.api_keys import IssuedKeyAnswer, KeyAnswer
from aicd_backend.routes.audit import AuditAnswer
from aicd_backend.routes.auth import ProviderAnswer
from aicd_backend.routes.invitations import InvitationAnswer, SentInvitationAnswer
from aicd_backend.routes.me import MeAnswer, PlaceAnswer, UserAnswer
from aicd_backend.routes.members import MemberAnswer
from aicd_backend.routes.oauth import TokenAnswer
from aicd_backend.routes.organizations import OrganizationAnswer, OrganizationSettings
from aicd_backend.routes.past_policies import JudgedCommit, PastAnswer, VerdictCounts
from aicd_backend.routes.policies import BUILT_IN, VersionAnswer
from aicd_backend.routes.repositories import InstallationAnswer, RepositoryAnswer
from aicd_backend.routes.secrets import SecretAnswer
from aicd_backend.routes.sessions import SessionAnswer
from aicd_core.contracts import PolicyReport, PolicyVerdict
from aicd_core.tenancy.audit.models import ActorKind
from aicd_core.tenancy.organizations.values import SettingsValues
from aicd_core.tenancy.permissions import Permission, Role

EMAIL, NAME = "ada@example.org", "Ada"
THE_KEY = KeyAnswer(
    id=an_id(5),
    name="nightly build",
    prefix="01a2156b",
    scopes=(Permission.JOBS_READ.value,),
    created_by=USER,
    created_at=THEN,
    expires_at=None,
    last_used_at=THEN,
    revoked_at=None,
    replaces=None,
)
THE_INVITATION = InvitationAnswer(
    id=an_id(6),
    email=EMAIL,
    role=Role.DEVELOPER,
    invited_by=USER,
    created_at=THEN,
    expires_at=LATER,
    accepted_at=None,
    revoked_at=None,
)
THE_PLACE = PlaceAnswer(
    slug="acme", name="Acme", role=Role.VIEWER, permissions=(Permission.ORG_READ, Permission.JOBS_READ)
)

ORGANIZATION_ANSWERS = (
    Health(),
    THE_PLACE,
    THE_KEY,
    THE_INVITATION,
    BUILT_IN,
    PastAnswer(
        counts=VerdictCounts(allow=1, ask=0, deny=0, unjudged=0),
        commits=(
            JudgedCommit(
                sha=HEAD_SHA,
                author=NAME,
                date=THEN,
                subject="Greet the world",
                report=PolicyReport(verdict=PolicyVerdict.ALLOW, evaluated=("protected_paths", "size")),
                fault=None,
            ),
        ),
    ),
    MeAnswer(
        kind="user",
        id=USER,
        user=UserAnswer(id=USER, email=EMAIL, email_verified=True, name=NAME),
        organizations=(THE_PLACE,),
    ),
    OrganizationAnswer(id=an_id(7), slug="acme", name="Acme", created_at=THEN),
    OrganizationSettings.of(SettingsValues(job_budget=5_000_000)),
    RepositoryAnswer(
        id=REPOSITORY,
        source="https://github.com/acme/shop.git",
        installation_id=INSTALLATION,
        enabled=True,
        issue_budget_micro_usd=None,
        monthly_budget_micro_usd=50_000_000,
        created_at=THEN,
        disconnected_at=None,
    ),
    InstallationAnswer(
        id=INSTALLATION,
        host="https://api.github.com",
        external_id=4711,
        account="acme",
        suspended_at=None,
        removed_at=None,
    ),
    SecretAnswer(name="MODEL_KEY", revision=1, key_id="k1", created_at=THEN),
    VersionAnswer(version=2, note="Smaller changes, please.", created_by=USER, created_at=THEN),
    AuditAnswer(
        id=42,
        actor_kind=ActorKind.USER,
        actor_id=str(USER),
        action="api_key.created",
        target_kind="api_key",
        target_id=str(THE_KEY.id),
        detail={"name": THE_KEY.name},
        created_at=THEN,
    ),
    ProviderAnswer(name="github", label="GitHub", login_url="/v1/auth/github/login"),
    TokenAnswer(access_token="aicd_acc_…", expires_in=900, scope=Permission.JOBS_READ.value),  # noqa: S106 - none
    SessionAnswer(
        id=an_id(8),
        current=True,
        user_agent="Mozilla/5.0",
        address="203.0.113.7",
        created_at=THEN,
        last_used_at=THEN,
        idle_until=LATER,
        ends_at=LATER,
    ),
    MemberAnswer(
        id=an_id(9), user_id=USER, email=EMAIL, name=NAME, role=Role.DEVELOPER, created_at=THEN, deleted=False
    ),
    SentInvitationAnswer(invitation=THE_INVITATION, token="aicd_inv_…"),  # noqa: S106 - none
    IssuedKeyAnswer(key=THE_KEY, token="aicd_key_…"),  # noqa: S106 - none
)
"""One of each kind."""
