"""What a repository says about itself in `.aicd.yml`, as values."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticKnownError

from aicd_core.contracts.values import Value

COMMAND_PATTERN = r"^[^\x00]*[^\s\x00][^\x00]*$"
"""A command line says something, and holds no NUL, which no argument of a process can carry."""

GLOB_PATTERN = r"^[^!#\s\\\[\]\x00-\x1f][^\\\[\]\x00-\x1f]*$"
"""The part of git's ignore patterns that we take: `*`, `?`, `**` and `/`.

Left out on purpose: `!`, which would loosen, and classes and escapes, which can fail to compile.
"""

HOST_PATTERN = r"^(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$"
"""A name of at least two parts, or `*.` and one for all names below it; the last part begins with a letter, which
leaves out addresses."""

_ANY = r"[^\x00-\x1f\\/*?\[\]]"
_PLAIN = r"[^\x00-\x1f\\/*?\[\].]"
_NAME = rf"({_PLAIN}{_ANY}*|\.{_PLAIN}{_ANY}*|\.\.{_ANY}+)"
FOLDER_PATTERN = rf"^{_NAME}(/{_NAME})*/?$"
"""A folder's path from the root: no `.` or `..`, no pattern."""

MAX_COMMAND_TIMEOUT = 3600.0
"""Seconds; a longer command would outlive the default deadline of the step that runs it."""

Command = Annotated[str, Field(pattern=COMMAND_PATTERN, max_length=8192)]
"""One command, run with `/bin/sh -c` in the tree's root."""

PathGlob = Annotated[str, Field(pattern=GLOB_PATTERN, max_length=500)]
"""Paths, in the syntax of `.gitignore`, reduced as `GLOB_PATTERN` says."""

FolderPath = Annotated[str, Field(pattern=FOLDER_PATTERN, max_length=500)]
"""A folder of the repository, as one writes it in a shell."""

HostName = Annotated[str, Field(pattern=HOST_PATTERN, max_length=253)]
"""A host that commands may reach, in lower case, on ports 80 and 443."""

StricterVerdict = Literal["ask", "deny"]
"""What a repository may demand of a rule: a person decides, or nobody may."""

MaybeVerdict = StricterVerdict | None
MaybeCount = Annotated[int, Field(ge=1)] | None


def _not_a_bool(value: object) -> object:
    """In Python `True == 1`, and a literal is compared; in YAML and JSON they are not the same."""
    if isinstance(value, bool):
        raise PydanticKnownError("literal_error", {"expected": "1"})
    return value


RULE_ID_PATTERN = r"^[a-z][a-z0-9_-]*$"
"""Ids of rules stand in reports and on pull requests, and must be easy to search for."""

LICENCE_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9.+-]*\*?$"
"""An SPDX identifier, or the beginning of some with a `*` behind it."""

LicenceName = Annotated[str, Field(pattern=LICENCE_PATTERN, max_length=100)]
RuleId = Annotated[str, Field(pattern=RULE_ID_PATTERN, max_length=60)]
Sentence = Annotated[str, Field(pattern=COMMAND_PATTERN, max_length=500)]
SomeGlobs = Annotated[tuple[PathGlob, ...], Field(min_length=1, max_length=100)]


class CustomRule(Value):
    """A rule of one's own, as data: a pattern on added lines, or paths that are not touched unasked."""

    id: RuleId = Field(description="What the rule is called; a finding names it as custom.<id>.")
    paths: SomeGlobs = Field(default=("**",), description="Where the rule looks; everywhere if not given.")
    except_paths: tuple[PathGlob, ...] = Field(
        default=(), max_length=100, description="Where it does not look, though paths says so."
    )
    pattern: Annotated[str, Field(min_length=1, max_length=1_000)] | None = Field(
        default=None,
        description="A regular expression (RE2: no look-around, no back-references) that no added line may have. "
        "Not given: touching one of the paths is the finding.",
    )
    verdict: StricterVerdict = Field(default="ask", description="What a finding means: a person decides, or nobody.")
    message: Sentence = Field(description="What is wrong, as a sentence.")
    remedy: Sentence = Field(
        default="Do without, or let a person decide.", description="What to do about it, as a sentence."
    )


class PathLimit(Value):
    """Limits on what one change may do to some paths; those of the whole change hold besides."""

    paths: SomeGlobs = Field(description="The paths that are counted together.")
    max_files: MaybeCount = Field(default=None, description="Files above which a person decides.")
    max_added_lines: MaybeCount = Field(default=None, description="Added lines above which a person decides.")
    max_file_bytes: MaybeCount = Field(default=None, description="Bytes of one file above which a person decides.")


class RuleSettings(Value):
    """The least verdict, `ask` or `deny`, of every finding of a rule; a rule left out stays as it is."""

    protected_path: MaybeVerdict = Field(default=None, description="A protected path is touched.")
    size: MaybeVerdict = Field(default=None, description="The change is larger than the limits below.")
    secret: MaybeVerdict = Field(default=None, description="An added line holds a credential of a known kind.")
    possible_secret: MaybeVerdict = Field(default=None, description="An added line holds what may be a credential.")
    outside_plan: MaybeVerdict = Field(default=None, description="A path is touched that the plan does not name.")
    tests_red: MaybeVerdict = Field(default=None, description="A set-up or test command failed.")
    tests_deleted: MaybeVerdict = Field(default=None, description="A test is deleted, or no longer collected.")
    tests_skipped: MaybeVerdict = Field(default=None, description="A test is skipped, or left before it asserts.")
    tests_weakened: MaybeVerdict = Field(default=None, description="A test asserts less than before.")
    checks_loosened: MaybeVerdict = Field(
        default=None, description="A setting of a linter, type checker, coverage or test runner is loosened."
    )
    dependency: MaybeVerdict = Field(
        default=None, description="A dependency is added or changed that the plan does not name."
    )
    dependency_source: MaybeVerdict = Field(
        default=None, description="A package comes from elsewhere than its registry, or a lock's hash is replaced."
    )
    licence: MaybeVerdict = Field(default=None, description="A licence or a notice changes, or a denied one comes in.")
    wrong_base: MaybeVerdict = Field(default=None, description="The change stands on another commit than its plan.")
    submodule: MaybeVerdict = Field(default=None, description="A submodule is added, moved or removed.")
    binary: MaybeVerdict = Field(default=None, description="A binary file is added or changed.")
    lfs_pointer: MaybeVerdict = Field(
        default=None, description="A file that .gitattributes gives to Git LFS is added or changed as itself."
    )


class PolicySettings(Value):
    """How a repository tightens its organisation's policy. It can loosen nothing."""

    protected_paths: tuple[PathGlob, ...] = Field(
        default=(),
        max_length=500,
        description="Paths that no job may touch, besides those that the organisation protects. The syntax of "
        ".gitignore with *, ?, ** and /; upper and lower case are the same.",
    )
    max_files: MaybeCount = Field(
        default=None,
        description="Files of one change above which a person decides; ten times as many are refused.",
    )
    max_added_lines: MaybeCount = Field(
        default=None,
        description="Added lines of one change above which a person decides; ten times as many are refused.",
    )
    max_file_bytes: MaybeCount = Field(
        default=None,
        description="Bytes of one changed file above which a person decides; ten times as many are refused.",
    )
    path_limits: tuple[PathLimit, ...] = Field(
        default=(), max_length=50, description="Limits for some paths, besides those of the whole change."
    )
    denied_licences: tuple[LicenceName, ...] = Field(
        default=(),
        max_length=200,
        description="SPDX identifiers, a * at the end standing for all that begin so, of licences that no file or "
        "package may come under, besides those that the organisation denies.",
    )
    custom: tuple[CustomRule, ...] = Field(default=(), max_length=100, description="Rules of one's own.")
    rules: RuleSettings = Field(
        default=RuleSettings(), description="The least verdict, ask or deny, for each finding of a rule."
    )


class NetworkSettings(Value):
    """Which hosts commands may reach, through a proxy that lets nothing else pass. Not given: none."""

    setup: tuple[HostName, ...] = Field(
        default=(), max_length=100, description="Hosts that set-up commands may reach. *.example.com is all below it."
    )
    coding: tuple[HostName, ...] = Field(
        default=(), max_length=100, description="Hosts that tests, and commands of the agent, may reach."
    )


class CheckoutSettings(Value):
    """What of the repository a job's work tree holds. Not given: all of it."""

    sparse: tuple[FolderPath, ...] = Field(
        default=(),
        max_length=200,
        description="Folders that are laid out, with all that is in them; of the folders above them, the root among "
        "these, only the files that are directly there. Nothing else is fetched, seen or changed.",
    )


class RepositoryConfig(Value):
    """All of `.aicd.yml`; an absent or empty file is `RepositoryConfig()`."""

    version: Annotated[Literal[1], BeforeValidator(_not_a_bool)] = Field(
        default=1, description="The version of this format."
    )
    setup: tuple[Command, ...] = Field(
        default=(),
        max_length=50,
        description="Commands that prepare the tree, run in order before the tests.",
    )
    tests: tuple[Command, ...] | None = Field(
        default=None,
        max_length=50,
        description="Commands that must end with 0 on the changed tree. Not given: they are detected. "
        "An empty list: nothing is run.",
    )
    command_timeout: Annotated[float, Field(ge=1, le=MAX_COMMAND_TIMEOUT, allow_inf_nan=False)] | None = Field(
        default=None,
        description="Seconds that one set-up or test command may take; the operator's if not given.",
    )
    plan_approval: Literal["never", "always"] = Field(
        default="never", description="Whether a person approves each plan before any code is written."
    )
    network: NetworkSettings = Field(
        default=NetworkSettings(), description="Which hosts commands may reach; without it, none."
    )
    checkout: CheckoutSettings = Field(
        default=CheckoutSettings(), description="What of the repository a job's work tree holds; without it, all."
    )
    policy: PolicySettings = Field(
        default=PolicySettings(), description="How this repository tightens its organisation's policy."
    )
