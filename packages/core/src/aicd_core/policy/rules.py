"""What the policy engine goes by: an organisation's rules, tightened by a repository."""

from typing import Annotated

from pydantic import AfterValidator, Field

from aicd_core.contracts.config import CustomRule, HostName, LicenceName, PathGlob, PathLimit, PolicySettings
from aicd_core.contracts.evidence import PolicyVerdict
from aicd_core.contracts.values import Value
from aicd_core.errors import InvalidInputError
from aicd_core.policy.patterns import compile_pattern
from aicd_core.policy.protected import PROTECTED_PATHS

HARD_LIMIT_FACTOR = 10
"""Above a size limit a person decides; above so many times the limit the change is refused."""

STRICTNESS = {PolicyVerdict.ALLOW: 0, PolicyVerdict.ASK: 1, PolicyVerdict.DENY: 2}

DENIED_LICENCES = ("AGPL-*", "GPL-*", "SSPL-*", "BUSL-*", "CC-BY-NC-*", "Elastic-*", "Commons-Clause")
"""Licences that oblige whoever takes the code in, or forbid uses; a project under one of them says so in its rules."""

_LIMITS = ("max_files", "max_added_lines", "max_file_bytes")


def _compilable(rule: CustomRule) -> CustomRule:
    if rule.pattern is not None:
        try:
            compile_pattern(rule.pattern)
        except InvalidInputError as error:
            raise ValueError(error.message) from error
    return rule


class RuleVerdicts(Value):
    """The least verdict of every finding, rule by rule. The field's name is the rule's id."""

    protected_path: PolicyVerdict = PolicyVerdict.DENY
    wrong_base: PolicyVerdict = PolicyVerdict.DENY
    size: PolicyVerdict = PolicyVerdict.ASK
    secret: PolicyVerdict = PolicyVerdict.DENY
    possible_secret: PolicyVerdict = PolicyVerdict.ASK
    outside_plan: PolicyVerdict = PolicyVerdict.DENY
    dependency: PolicyVerdict = PolicyVerdict.ASK
    dependency_source: PolicyVerdict = PolicyVerdict.ASK
    licence: PolicyVerdict = PolicyVerdict.ASK
    tests_red: PolicyVerdict = PolicyVerdict.ASK
    tests_deleted: PolicyVerdict = PolicyVerdict.ASK
    tests_skipped: PolicyVerdict = PolicyVerdict.ASK
    tests_weakened: PolicyVerdict = PolicyVerdict.ASK
    checks_loosened: PolicyVerdict = PolicyVerdict.ASK
    submodule: PolicyVerdict = PolicyVerdict.DENY
    binary: PolicyVerdict = PolicyVerdict.ASK
    lfs_pointer: PolicyVerdict = PolicyVerdict.ASK


class Rules(Value):
    """All that `evaluate` needs to know. Limits are the largest values that pass without a question."""

    protected_paths: tuple[PathGlob, ...] = PROTECTED_PATHS
    max_files: int = Field(default=100, ge=1)
    max_added_lines: int = Field(default=5_000, ge=1)
    max_file_bytes: int = Field(default=1024 * 1024, ge=1)
    path_limits: tuple[PathLimit, ...] = ()
    denied_licences: tuple[LicenceName, ...] = DENIED_LICENCES
    custom: tuple[Annotated[CustomRule, AfterValidator(_compilable)], ...] = ()
    allowed_hosts: tuple[HostName, ...] | None = None
    """What `network:` of a repository may name; None leaves it to the repositories, an empty list allows nothing."""
    verdicts: RuleVerdicts = RuleVerdicts()


DEFAULT_RULES = Rules()
"""The floor for every repository whose organisation has set nothing else."""


def strictest(*verdicts: PolicyVerdict) -> PolicyVerdict:
    """The strictest of the verdicts; `allow` when there is none."""
    return max(verdicts, key=STRICTNESS.__getitem__, default=PolicyVerdict.ALLOW)


def effective_rules(org: Rules, repo: PolicySettings) -> Rules:
    """The organisation's rules with what the repository adds.

    Protected paths, denied licences, limits of paths and rules of its own come on top; limits may be lower and
    verdicts stricter.

    Raises:
        InvalidInputError: code `invalid_config`; the repository asks for less than its organisation, gives a rule
            an id that the organisation uses, or writes a pattern that RE2 does not take. It is told so rather than
            overruled in silence: a limit that is written down but not kept misleads.
    """
    limits = {name: _lowered(name, getattr(org, name), getattr(repo, name)) for name in _LIMITS}
    verdicts = {
        name: _raised(name, getattr(org.verdicts, name), getattr(repo.rules, name))
        for name in RuleVerdicts.model_fields
    }
    return Rules(
        protected_paths=tuple(dict.fromkeys((*org.protected_paths, *repo.protected_paths))),
        path_limits=tuple(dict.fromkeys((*org.path_limits, *repo.path_limits))),
        denied_licences=tuple(dict.fromkeys((*org.denied_licences, *repo.denied_licences))),
        custom=_joined(org.custom, repo.custom),
        allowed_hosts=org.allowed_hosts,
        verdicts=RuleVerdicts(**verdicts),
        **limits,
    )


def _lowered(name: str, floor: int, wanted: int | None) -> int:
    if wanted is not None and wanted > floor:
        raise _loosened(f"policy.{name}", f"{wanted:,}", f"{floor:,}", "lower")
    return floor if wanted is None else wanted


def _raised(name: str, floor: PolicyVerdict, wanted: str | None) -> PolicyVerdict:
    verdict = floor if wanted is None else PolicyVerdict(wanted)
    if STRICTNESS[verdict] < STRICTNESS[floor]:
        raise _loosened(f"policy.rules.{name}", verdict.value, floor.value, "tighten")
    return verdict


def _joined(org: tuple[CustomRule, ...], repo: tuple[CustomRule, ...]) -> tuple[CustomRule, ...]:
    """The organisation's own rules, then the repository's; one that says the same again is one."""
    joined = list(org)
    for number, rule in enumerate(repo):
        if rule.pattern is not None:
            _require_pattern(rule, number)
        same = next((other for other in joined if other.id == rule.id), None)
        if same is None:
            joined.append(rule)
        elif same != rule:
            raise InvalidInputError(
                f".aicd.yml, key policy.custom[{number}].id: {rule.id} is a rule already, and says something else. "
                "Give this one another id.",
                code="invalid_config",
            )
    return tuple(joined)


def _require_pattern(rule: CustomRule, number: int) -> None:
    try:
        compile_pattern(rule.pattern or "")
    except InvalidInputError as error:
        message = f".aicd.yml, key policy.custom[{number}].pattern: {error.message}"
        raise InvalidInputError(message, code="invalid_config") from error


def _loosened(key: str, wanted: str, floor: str, verb: str) -> InvalidInputError:
    return InvalidInputError(
        f".aicd.yml, key {key}: {wanted} is looser than the organisation's {floor}. A repository may only {verb} "
        "it: take the key out, or have the organisation's rules changed.",
        code="invalid_config",
    )
