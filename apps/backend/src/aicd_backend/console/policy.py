"""The policy: what counts, an editor, and what rules would have said of past commits or of a patch."""

import json
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from aicd_backend.callers import Here, TenantCaller
from aicd_backend.console.forms import Form, Posted, body_of
from aicd_backend.console.jobs import repositories_of
from aicd_backend.console.pages import at, form_page, go, refused
from aicd_backend.console.routing import console_router, sees
from aicd_backend.etags import revision_of
from aicd_backend.problems import Problem, RefusedError
from aicd_backend.routes.past_policies import (
    COMMITS,
    COMMITS_MOST,
    PastAnswer,
    PastBody,
    is_far,
    try_policy_on_commits,
)
from aicd_backend.routes.policies import (
    DryRunBody,
    PolicyAnswer,
    PolicyEdit,
    edit_policy,
    get_policy,
    get_policy_version,
    list_policy_versions,
    try_policy,
)
from aicd_core.contracts import PolicyReport
from aicd_core.db.pages import PageRequest
from aicd_core.errors import AicdError, InvalidInputError
from aicd_core.policy import Rules
from aicd_core.policy.rules import RuleVerdicts
from aicd_core.tenancy.permissions import Permission

router = console_router()
POLICY = "/console/{org}/policy"
LIMITS = {
    "max_files": "Files in a change",
    "max_added_lines": "Added lines in a change",
    "max_file_bytes": "Bytes of a file",
}
LINES = {"protected_paths": "Protected paths", "denied_licences": "Denied licences"}
"""Rules that are lists of texts, written one a line."""
REST = ("path_limits", "custom", "allowed_hosts")
"""Rules that are written as JSON."""
VERSIONS = 10
RULE_IDS = tuple(RuleVerdicts.model_fields)


@router.get(POLICY, **sees(Permission.POLICIES_READ))
async def show_policy(request: Request, here: Here, version: int | None = None) -> Response:
    newest, revision = await _newest(here)
    shown = newest if version is None else await get_policy_version(here, version)
    return await _editor(request, here, _typed(shown.rules), revision, shown=shown)


@router.post(POLICY, **sees(Permission.POLICIES_EDIT))
async def publish(request: Request, here: Here, form: Posted) -> Response:
    try:
        edit = body_of(PolicyEdit, rules=_rules(form), note=form.text("note"))
        await edit_policy(here, form.revision(), edit, Response())
    except (AicdError, RefusedError) as error:
        return await _editor(request, here, form, form.revision(), fault=refused(request, error))
    return go(at(here, "policy"), "published")


@router.post(f"{POLICY}/try", **sees(Permission.POLICIES_READ))
async def try_rules(request: Request, here: Here, form: Posted) -> Response:
    """What the rules in the editor would say; nothing is stored."""
    past: PastAnswer | None = None
    report: PolicyReport | None = None
    try:
        if patch := form.fields.get("patch", ("",))[0].strip("\n"):
            report = await try_policy(here, body_of(DryRunBody, patch=f"{patch}\n", rules=_rules(form)))
        else:
            past = await try_policy_on_commits(here, request.app.state.past_runs, _past(form))
    except (AicdError, RefusedError) as error:
        return await _editor(request, here, form, form.revision(), fault=refused(request, error))
    return await _editor(request, here, form, form.revision(), tried={"past": past, "report": report})


def _past(form: Form) -> PastBody:
    """The commits of a repository that were asked for, by the rules in the editor."""
    try:
        chosen = UUID(form.text("repository"))
    except ValueError:
        raise InvalidInputError("Choose a repository to try the rules on, or paste a patch.") from None
    count = form.number("commits", "The number of commits")
    return body_of(PastBody, repository_id=chosen, commits=COMMITS if count is None else count, rules=_rules(form))


async def _newest(here: TenantCaller) -> tuple[PolicyAnswer, int]:
    tagged = Response()
    return await get_policy(here, tagged), revision_of(tagged)


def _typed(rules: Rules) -> Form:
    """The form that stands for these rules."""
    content = rules.model_dump(mode="json")
    fields = {name: [str(content[name])] for name in LIMITS}
    fields |= {name: ["\n".join(content[name])] for name in LINES}
    fields |= {f"verdict_{rule}": [content["verdicts"][rule]] for rule in RULE_IDS}
    rest = {name: content[name] for name in REST if content[name] not in (None, [])}
    return Form({**fields, "rest": [json.dumps(rest, indent=2)]})


def _rules(form: Form) -> dict[str, Any]:
    """The rules that a form stands for, as the API takes them; whether they are any is for `parse_rules` to say."""
    try:
        rest = json.loads(form.text("rest") or "{}")
    except ValueError as error:
        raise InvalidInputError(f"The further rules are no JSON: {error}.", code="bad_rules") from error
    if not isinstance(rest, dict) or set(rest) - set(REST):
        raise InvalidInputError(f"The further rules are an object with {', '.join(REST)}.", code="bad_rules")
    given = {name: form.number(name, label) for name, label in LIMITS.items()}
    limits = {name: value for name, value in given.items() if value is not None}
    lines = {name: [line.strip() for line in form.text(name).split("\n") if line.strip()] for name in LINES}
    verdicts = {rule: form.text(f"verdict_{rule}") for rule in RULE_IDS if form.text(f"verdict_{rule}")}
    return {**rest, **limits, **lines, "verdicts": verdicts}


async def _editor(
    request: Request,
    here: TenantCaller,
    form: Form,
    revision: int,
    *,
    shown: PolicyAnswer | None = None,
    tried: dict[str, Any] | None = None,
    fault: Problem | None = None,
) -> Response:
    local = here.stores.settings.local_repositories
    return form_page(
        *(request, "policy.html", fault),
        form=form,
        revision=revision,
        shown=shown,
        tried=tried,
        limits=LIMITS,
        lines=LINES,
        rule_ids=RULE_IDS,
        commits_most=COMMITS_MOST,
        commits=COMMITS,
        versions=(await list_policy_versions(here, PageRequest(VERSIONS))).items,
        repositories=[place for place in await repositories_of(here) if local or is_far(place.source)],
    )
