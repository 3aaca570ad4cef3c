"""An organization's policy: the rules that decide about every change, in versions that are never overwritten."""

import asyncio
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from fastapi import Response
from pydantic import ConfigDict, Field

from aicd_backend.access import needs, secured_router
from aicd_backend.bodies import Answer, Body
from aicd_backend.callers import Here, TenantCaller
from aicd_backend.etags import IfMatch, tag
from aicd_backend.paging import PageOf, PageQuery, page_of
from aicd_core.contracts import PolicyReport, TestReport
from aicd_core.policy import (
    DEFAULT_RULES,
    Rules,
    change_of_patch,
    evaluate,
    organization_rules,
    parse_rules,
    paths_to_read,
    plan_of,
    publish_rules,
)
from aicd_core.tenancy.permissions import Permission
from aicd_core.tenancy.policies import service
from aicd_core.tenancy.policies.values import PolicyView

router = secured_router("policies")
POLICY = "/organizations/{org}/policy"
PATCH = """\
diff --git a/app.py b/app.py
--- a/app.py
+++ b/app.py
@@ -1 +1 @@
-x = 1
+x = 2
"""


class PolicyAnswer(Answer):
    """The rules of one version, with the defaults of what it does not say."""

    version: int = Field(description="0: the organization has none of its own, and these are the built-in rules.")
    rules: Rules
    note: str
    created_by: UUID | None
    created_at: datetime | None

    @classmethod
    def of(cls, view: PolicyView) -> Self:
        rules = parse_rules(dict(view.rules), f"Version {view.version} of the policy")
        return cls(
            version=view.version, rules=rules, note=view.note, created_by=view.created_by, created_at=view.created_at
        )


BUILT_IN = PolicyAnswer(version=0, rules=DEFAULT_RULES, note="", created_by=None, created_at=None)


class VersionAnswer(Answer):
    """One version, without its rules."""

    version: int
    note: str
    created_by: UUID | None
    created_at: datetime

    @classmethod
    def of(cls, view: PolicyView) -> Self:
        return cls(version=view.version, note=view.note, created_by=view.created_by, created_at=view.created_at)


class PolicyEdit(Body):
    """The next version. What the rules leave out has its default."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"rules": {"max_files": 50}, "note": "Smaller changes, please."}]}
    )

    rules: dict[str, Any]
    note: str = Field(default="", max_length=1000, description="Why; it stays with the version.")


class DryRunBody(Body):
    """A change, as a patch in git's form, and the rules to try on it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"patch": PATCH, "rules": {"max_files": 50}}]})

    patch: str = Field(min_length=1, max_length=2_000_000)
    rules: dict[str, Any] | None = Field(default=None, description="Null: those that count now.")
    files: dict[str, str] = Field(
        default_factory=dict,
        max_length=1000,
        description="By path, what changed tests, settings and manifests held before; others are not compared.",
    )


@router.get(POLICY, summary="The policy that counts", **needs(Permission.POLICIES_READ, tagged=True))
async def get_policy(here: Here, response: Response) -> PolicyAnswer:
    async with here.read() as session:
        found = await service.newest(session, here.tenant)
    tag(response, found.version if found else 0)
    return PolicyAnswer.of(found) if found else BUILT_IN


@router.put(POLICY, summary="Publish the next version", **needs(Permission.POLICIES_EDIT, edits=True))
async def edit_policy(here: Here, revision: IfMatch, edit: PolicyEdit, response: Response) -> PolicyAnswer:
    rules = parse_rules(edit.rules, "The policy")
    async with here.write() as session:
        made = await publish_rules(session, here.tenant, here.actor, rules, expected=revision, note=edit.note)
    tag(response, made.version)
    return PolicyAnswer.of(made)


@router.get(f"{POLICY}/versions", summary="All versions, newest first", **needs(Permission.POLICIES_READ))
async def list_policy_versions(here: Here, page: PageQuery) -> PageOf[VersionAnswer]:
    async with here.read() as session:
        return page_of(await service.list_versions(session, here.tenant, page), VersionAnswer.of)


@router.get(f"{POLICY}/versions/{{version}}", summary="One version", **needs(Permission.POLICIES_READ))
async def get_policy_version(here: Here, version: int) -> PolicyAnswer:
    async with here.read() as session:
        return PolicyAnswer.of(await service.require_version(session, here.tenant, version))


@router.post(
    f"{POLICY}/dry-run",
    summary="What rules would say of a change",
    description="Nothing is stored. What a plan or a test run would have to tell is left out.",
    **needs(Permission.POLICIES_READ),
)
async def try_policy(here: Here, given: DryRunBody) -> PolicyReport:
    change = change_of_patch(given.patch.encode("utf-8", "replace"))
    rules = await rules_to_try(here, given.rules)
    wanted = {
        path: given.files[path].encode("utf-8", "replace") for path in paths_to_read(change) if path in given.files
    }
    plan = plan_of(change.files, change.base_sha, "A dry run")
    return await asyncio.to_thread(evaluate, change, plan, TestReport(), rules, wanted)


async def rules_to_try(here: TenantCaller, given: dict[str, Any] | None) -> Rules:
    """The rules of a dry run: those given, or those that count now.

    Raises:
        InvalidInputError: `bad_rules`.
    """
    if given is not None:
        return parse_rules(given, "The policy")
    async with here.read() as session:
        return await organization_rules(session, here.tenant)
