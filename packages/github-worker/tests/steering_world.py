"""Jobs that a GitHub stand-in starts and steers, on a real database, with nobody at work on them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from github_world import Hub

from aicd_core.agents.registry import load_agent
from aicd_core.contracts import AcceptanceCriterion, Estimate, Plan, PlannedFile, PlannedOp, PlanStep, PullRequest, Risk
from aicd_core.db.database import Database, SystemDatabase
from aicd_core.deliveries.values import DeliveryView, Outcome
from aicd_core.ids import DeliveryId, JobId, new_uuid
from aicd_core.jobs.machine import JobState
from aicd_core.orchestrator import Parts, Progress
from aicd_core.settings import Settings
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.audit.models import ActorKind
from aicd_core.tenancy.audit.values import Actor
from aicd_core.tenancy.organizations.service import edit_settings, get_settings
from aicd_github.desk import SteeredHost
from aicd_github.hub.render import STATUS_MARK
from aicd_github.testing.git_server import run_git
from aicd_github.testing.github.state import Issue, Pull
from aicd_github.testing.messages import Message, Messages
from aicd_github.webhooks import SOURCE
from aicd_github.webhooks.routing import Router
from aicd_github.webhooks.steering import steering_routes
from aicd_github.webhooks.tenants import Tenants

PLAN = Plan(
    base_sha="a" * 40,
    problem="Greet @everyone, fixes #3. ```` <!-- x -->",
    acceptance_criteria=(AcceptanceCriterion(id="1", text="It greets", verify="grep"),),
    steps=(PlanStep(id="1", goal="Greet", files=(PlannedFile(path="greet.txt", op=PlannedOp.MODIFY),)),),
    risk=Risk(level="low"),
    estimate=Estimate(steps=1, usd=0),
)


@dataclass
class Steered:
    """The stand-in, our side of it, and one issue."""

    hub: Hub
    host_of: Callable[[str], SteeredHost]
    database: Database
    system: SystemDatabase
    tenant: Tenant
    admin_url: str
    settings: Settings
    issue: Issue
    seen: list[Progress] = field(default_factory=list)

    def at(self, source: str, tenant: Tenant | None = None) -> Any:
        """The host of a repository, under whichever name it is asked for."""
        del tenant
        return self.host_of(source.removesuffix(".git").rpartition("/")[2])

    def parts(self) -> Parts:
        return Parts(self.database, self.system, self, load_agent, self.settings, self.seen.append)

    @property
    def says(self) -> Messages:
        return Messages(self.hub.server, self.hub.repo, self.hub.installed)

    async def handle(self, message: Message, *, delivery: DeliveryId | None = None, attempts: int = 1) -> Outcome:
        """What becomes of a delivery; given again with its id, of its second handling."""
        tenants = Tenants(self.database, self.system, self.hub.server.api, {"acme": "acme"})
        router = Router(tenants, steering_routes(self.parts(), self.at), timedelta(days=30))
        view = DeliveryView(
            *(delivery or DeliveryId(new_uuid()), None, SOURCE, message.delivery, message.event, None, None),
            *(message.body, attempts, datetime.now(UTC)),
        )
        return await router(view)

    async def say(self, text: str, by: str = "alice", at: datetime | None = None) -> Outcome:
        """What becomes of a comment on the issue."""
        return await self.handle(self.says.commented(self.issue, text, by, at))

    async def label(self, by: str = "alice", label: str = "aicd") -> Outcome:
        return await self.handle(self.says.labeled(self.issue, label, by))

    def ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            done = connection.execute(query.encode(), values)
            return done.fetchall() if done.description else []

    def jobs(self) -> list[str]:
        """The states of the issue's jobs, oldest first."""
        return [state for (state,) in self.ask("SELECT state FROM jobs ORDER BY id")]

    def job(self) -> JobId:
        return JobId(self.ask("SELECT id FROM jobs ORDER BY id DESC LIMIT 1")[0][0])

    def column(self, name: str) -> Any:
        return self.ask(f"SELECT {name} FROM jobs ORDER BY id DESC LIMIT 1")[0][0]

    def events(self) -> list[tuple[str | None, Mapping[str, Any]]]:
        return [(event, detail) for event, detail in self.ask("SELECT event, detail FROM job_events ORDER BY id")]

    def living(self) -> str:
        """The one comment that is ours."""
        ours = [comment.body for comment in self.issue.comments if comment.user.login == "aicd[bot]"]
        assert all(STATUS_MARK in body for body in ours)
        assert len(ours) == 1, ours
        return ours[0]

    def reactions(self) -> list[str]:
        """Ours, on the newest comment that somebody else wrote."""
        theirs = [comment for comment in self.issue.comments if comment.user.login != "aicd[bot]"]
        return sorted(content for _, content in theirs[-1].reactions)

    def forget(self) -> None:
        """The issue never had a job, nor a comment."""
        for table in ("job_events", "artifacts", "jobs"):
            self.ask(f"DELETE FROM {table}")
        self.issue.comments.clear()
        self.issue.labels.clear()

    async def in_state(self, state: JobState | None, **columns: Any) -> None:
        """An issue whose job is in a state, as if it had come there; None: it never had one."""
        if state is None:
            return
        await self.label()
        paused = "planning" if state is JobState.PAUSED else None
        self.ask("UPDATE jobs SET state = %s, version = version + 1, paused_from = %s", state.value, paused)
        for name, value in columns.items():
            self.ask(f"UPDATE jobs SET {name} = %s", value)
        if state is JobState.AWAITING_APPROVAL:
            await self.keep("plan", PLAN.model_dump_json())
            self.ask(
                "INSERT INTO job_events (org_id, job_id, version, event, state, detail) "
                "SELECT org_id, id, version, 'approval_asked', state, '{}' FROM jobs"
            )

    async def keep(self, kind: str, content: str) -> None:
        self.ask(
            "INSERT INTO artifacts (org_id, job_id, kind, round, content) SELECT org_id, id, %s, 0, %s FROM jobs",
            *(kind, content.encode()),
        )

    async def pull(self, state: JobState = JobState.PR_OPEN) -> Pull:
        """The job's pull request, with the job in some state."""
        await self.in_state(state)
        job = self.job()
        issue = Issue(self.hub.repo.next_number(), self.hub.server.world.user("aicd[bot]", "Bot"), "Greet", "")
        self.hub.repo.issues[issue.number] = issue
        run_git(self.hub.repo.folder, "update-ref", f"refs/heads/aicd/{job}", "main")
        made = Pull(issue, f"aicd/{job}", "main", draft=False, head_sha="a" * 40, base_sha="b" * 40)
        self.hub.repo.pulls[issue.number] = made
        url = f"{self.hub.server.web}/acme/project/pull/{issue.number}"
        opened = PullRequest(
            url=url, number=issue.number, draft=False, branch=made.head, head_sha="a" * 40, base_branch="main"
        )
        await self.keep("pull_request", opened.model_dump_json())
        return made

    async def set_rules(self, **rules: Any) -> None:
        async with self.database.write(self.tenant) as session:
            now = await get_settings(session, self.tenant)
            values = replace(now.values, **rules)
            await edit_settings(session, self.tenant, Actor(ActorKind.SYSTEM, "test"), values, revision=now.revision)
