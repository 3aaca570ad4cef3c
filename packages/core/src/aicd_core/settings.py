"""Everything that an operator may set, declared once; each field is the environment variable `AICD_<NAME>`."""

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import AliasChoices, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from aicd_core.errors import InvalidInputError

KIB = 1024
MIB = 1024 * KIB


SECRETS_DIR = Path("/run/secrets")
"""Where Docker and Kubernetes put secrets by custom."""


def secret_files() -> dict[str, str]:
    """The text of each of those files that can be read, by its name."""
    found = {}
    for folder in _secret_files().values():
        for file in folder.glob("aicd_*"):
            with suppress(OSError):
                found[file.name] = file.read_text(errors="replace").strip()
    return found


def _secret_files() -> dict[str, Any]:
    """The folder with one file for each secret, `aicd_<name>`, as pydantic-settings takes it; nothing without one."""
    named = os.environ.get("AICD_SECRETS_DIR")
    if named and not Path(named).is_dir():
        raise InvalidInputError(
            f"AICD_SECRETS_DIR is {named}, and there is no such folder. Mend the variable.", code="bad_setting"
        )
    folder = Path(named) if named else SECRETS_DIR
    return {"_secrets_dir": folder} if folder.is_dir() else {}


class EnvironmentSettings(BaseSettings):
    """What all settings share: where they come from, and what is said of a wrong one."""

    model_config = SettingsConfigDict(env_prefix="AICD_", frozen=True, extra="ignore", populate_by_name=True)
    dotenv: ClassVar[Path | None] = None
    """A file of variables to be read as well. Never of a command that runs in folders which strangers may have made."""

    @classmethod
    def load(cls, **given: Any) -> Self:
        """The settings of this process: what is given and is not None, then its environment, then its secret files.

        Raises:
            InvalidInputError: `bad_setting`; a variable holds a value that it cannot have, or a secret file cannot be
                read. The message names the variable or the file and never its value.
        """
        wanted = {name: value for name, value in given.items() if value is not None}
        try:
            return cls(_env_file=cls.dotenv, **wanted, **_secret_files())
        except ValidationError as error:
            wrong = "; ".join(f"{_name_of(fault['loc'])}: {fault['msg']}" for fault in error.errors())
            raise InvalidInputError(
                f"A setting cannot be used. {wrong}. Mend the variable.", code="bad_setting"
            ) from error
        except SettingsError as error:
            raise InvalidInputError(_unread(error), code="bad_setting") from error


def _unread(error: SettingsError) -> str:
    """Why pydantic-settings got no value at all: a variable is no JSON, or a secret file is not to be read."""
    named = re.search(r'field "(\w+)"', str(error))
    setting = f"AICD_{named[1].upper()}" if named else "One of them"
    if isinstance(error.__cause__, OSError):
        remedy = "Let the user that runs this read it, or mend AICD_SECRETS_DIR."
        return f"A secret file cannot be read: {error.__cause__}. {remedy}"
    if str(error).startswith("error parsing"):
        return f"A setting cannot be used. {setting} is not JSON, as docs/settings.md wants it. Mend the variable."
    return f"A setting cannot be used. The secret file of {setting} is not UTF-8. Mend the file."


def _name_of(place: tuple[int | str, ...]) -> str:
    """The variable that a value belongs to, and where in it the value stands."""
    variable, *inside = (str(part) for part in place)
    name = variable if variable.isupper() else f"AICD_{variable.upper()}"  # an alias is the variable's whole name
    return name + (f" ({'.'.join(inside)})" if inside else "")


class Settings(EnvironmentSettings):
    """Settings of one process. Sizes are in bytes, times in seconds."""

    data_dir: Path = Field(
        default=Path("~/.local/share/aicd"),
        description="Where the embedded database, mirrors and work trees live.",
    )
    database_url: str | None = Field(
        default=None,
        description="Postgres 15+ to use (postgresql://…). Not set: an embedded one under the data directory.",
    )
    system_database_url: str | None = Field(
        default=None,
        description="The same Postgres as the system role aicd_system; needed where AICD_DATABASE_URL is set.",
    )
    migration_database_url: str | None = Field(
        default=None,
        description="The same Postgres as a role that may create tables and roles, for migrating and erasing only.",
    )
    redis_url: str | None = Field(
        default=None,
        description="Redis 6.2+ for the queue of many machines (redis://…, rediss://…). Not set: it is in Postgres.",
    )
    secret_keys: SecretStr | None = Field(
        default=None,
        description="Keys of tenants' secrets, `id:base64,…` of 32 bytes each; the first one encrypts.",
    )
    signing_keys: SecretStr | None = Field(
        default=None,
        description="Keys that sign evidence, `id:base64,…` of 32 bytes each; the first one signs. Not set: a key "
        "under the data directory.",
    )
    github_api_url: str = Field(
        default="https://api.github.com",
        pattern=r"^https?://[^/\s]+(/[^\s]*[^/\s])?$",
        description="GitHub's REST API; of GitHub Enterprise Server it is https://HOST/api/v3.",
    )
    github_webhook_secret: SecretStr | None = Field(
        default=None, description="What GitHub signs its deliveries with; without it, none is taken."
    )
    github_webhook_secret_previous: SecretStr | None = Field(
        default=None, description="The secret before, which still counts while the App's is being replaced."
    )
    github_accounts: str = Field(
        default="",
        description="Whose installations are taken: GitHub accounts, with commas between; `account=organization` for "
        "an organization other than `local`.",
    )
    github_label: str = Field(
        default="aicd", min_length=1, max_length=50, description="The label that starts the job of an issue."
    )
    github_token: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("AICD_GITHUB_TOKEN", "GITHUB_TOKEN"),
        description="A person's token for GitHub, where no App is used; GITHUB_TOKEN will do, too.",
    )
    github_app_id: int | None = Field(default=None, gt=0, description="Number of the GitHub App.")
    github_app_key: SecretStr | None = Field(default=None, description="The App's private key, in PEM.")
    github_app_key_file: Path | None = Field(default=None, description="A file with the App's private key, in PEM.")
    github_timeout: float = Field(default=30, gt=0, description="How long GitHub may take to answer a call.")
    metrics_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="Port of `/metrics` for Prometheus; 0 picks a free one, and the log tells it. Not set: none. "
        "Whoever reaches it sees figures of all organizations.",
    )
    metrics_host: str = Field(default="127.0.0.1", min_length=1, description="Address that `/metrics` listens on.")
    backup_repository: str | None = Field(
        default=None, description="Where backups are kept, as restic names it: a path, `sftp:…`, `s3:…`, `rest:…`."
    )
    backup_password: SecretStr | None = Field(
        default=None, description="What backups are encrypted with. Keep a copy elsewhere: without it they are lost."
    )
    backup_database_url: str | None = Field(
        default=None,
        description="The same Postgres as a role that reads every row, for backups only. Not set: "
        "AICD_MIGRATION_DATABASE_URL.",
    )
    backup_also: tuple[Path, ...] = Field(
        default=(), description="Files and folders to be kept in backups besides, as a JSON list."
    )
    backup_keep_daily: int = Field(default=7, ge=0, description="Of so many days the last backup is kept.")
    backup_keep_weekly: int = Field(default=5, ge=0, description="Of so many weeks the last backup is kept.")
    backup_keep_monthly: int = Field(default=12, ge=0, description="Of so many months the last backup is kept.")
    log_format: Literal["auto", "json", "text"] = Field(
        default="auto",
        description="How servers and workers write their logs: `json`, one object a line, or `text`; `auto` is "
        "`text` on a terminal, else `json`.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="What is below this is not logged."
    )
    otlp_endpoint: str | None = Field(
        default=None,
        pattern=r"^(https?://[^\s]+)?$",
        validation_alias=AliasChoices("AICD_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        description="Where traces go by OTLP over HTTP, without `/v1/traces`: http://collector:4318; "
        "OTEL_EXPORTER_OTLP_ENDPOINT will do, too. Not set: nothing is traced.",
    )
    trace_ratio: float = Field(
        default=1, ge=0, le=1, description="So many of all traces are kept, each from its beginning to its end."
    )
    agent: str = Field(default="dummy", description="The agent for jobs that name none.")
    issue_max_bytes: int = Field(default=8 * MIB, gt=0, description="Largest issue text taken.")
    job_time_limit: float = Field(default=7200, gt=0, description="A job pauses after so long at work.")
    command_timeout: float = Field(default=600, gt=0, description="Deadline of one command in the sandbox.")
    model_call_timeout: float = Field(default=600, gt=0, description="Deadline of one call of a model.")
    step_timeout: float = Field(default=3600, gt=0, description="Deadline of one step: plan, code or review.")
    sandbox: Literal["bubblewrap", "podman", "docker"] = Field(
        default="bubblewrap", description="What commands are run in."
    )
    sandbox_image: str = Field(
        default="docker.io/library/python:3.12", description="Image of podman's and docker's sandboxes; has python3."
    )
    sandbox_memory: int = Field(default=4096 * MIB, gt=0, description="Memory of one sandbox.")
    sandbox_processes: int = Field(default=512, gt=0, description="Processes of one sandbox.")
    sandbox_file_size: int = Field(default=1024 * MIB, gt=0, description="Largest file the sandbox writes.")
    sandbox_output: int = Field(default=1 * MIB, gt=0, description="Output kept of a command, head and tail.")
    delivery_days: float = Field(default=30, gt=0, description="Handled deliveries are kept so many days.")
    journal_days: float = Field(
        default=30,
        gt=0,
        description="What was said to models, and the log of the job, is kept so many days after it has ended.",
    )
    redact_patterns: tuple[str, ...] = Field(
        default=(), description="Regular expressions of what exported journals mask besides, as a JSON list."
    )
    sandbox_log: int = Field(default=64 * MIB, gt=0, description="Largest log file of a command with more output.")
    sandbox_tree_size: int = Field(default=8192 * MIB, gt=0, description="Largest work tree, all files together.")
    sandbox_tree_files: int = Field(default=1_000_000, gt=0, description="Files and folders of a work tree.")
    min_free_disk: int = Field(default=256 * MIB, ge=0, description="Refuse to start a job below this.")
    max_rounds: int = Field(default=3, gt=0, description="Reviews before a job escalates to a person.")
    max_feedback_rounds: int = Field(
        default=3, ge=0, description="Rounds on feedback to a pull request; then a person."
    )
    feedback_delay: float = Field(
        default=15, ge=0, le=60, description="Seconds for more feedback to come in before a round begins on it."
    )
    max_plan_attempts: int = Field(default=3, gt=0, description="Plans asked for before a job fails.")

    def resolved_data_dir(self) -> Path:
        """The data directory as an absolute path, `~` expanded."""
        return self.data_dir.expanduser().absolute()
