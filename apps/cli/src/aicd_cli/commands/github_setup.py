"""`aicd github setup`: makes the GitHub App."""

import importlib
import sys
from typing import Annotated

import typer

from aicd_cli.exit_codes import ExitCode
from aicd_cli.options import AsJson, DataDir
from aicd_cli.process import run_process, show
from aicd_cli.runtime import load_settings, prepare_data_dir

EXAMPLE = "Example:  aicd github setup --organization acme --webhook-url https://ci.example.com/webhooks/github"


def command(
    name: Annotated[str, typer.Option(metavar="NAME", help="The App's name; GitHub has each name once.")] = "AI-CD",
    organization: Annotated[
        str | None, typer.Option(metavar="ORG", help="Whose the App is; default: the person's in the browser.")
    ] = None,
    webhook_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Where GitHub reaches this product; can be set later.")
    ] = None,
    wait: Annotated[float, typer.Option(metavar="SECONDS", min=1, help="How long to wait for the browser.")] = 600,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Make a GitHub App with the permissions it needs, in a browser on this machine.

    Its number, key and webhook secret are stored in the data directory's `github-app`, for this user alone.
    """

    async def work() -> ExitCode:
        settings = load_settings(data_dir)
        folder = prepare_data_dir(settings) / "github-app"
        parts = (settings.github_api_url, name, organization, webhook_url, folder, wait)
        made, place = (
            await importlib.import_module("aicd_cli.github_setup").Setup(*parts).run(_tell if as_json else _say)
        )
        if as_json:
            install, key = f"{made.page}/installations/new", str(place / "key.pem")
            show({"app": made.slug, "app_id": made.app_id, "install_at": install, "key_file": key})
            return ExitCode.OK
        _say(f"The App {made.slug} is made. Install it on your repositories:  {made.page}/installations/new")
        _say("Then set for every process of AI-CD:")
        _say(f"  AICD_GITHUB_APP_ID={made.app_id}")
        _say(f"  AICD_GITHUB_APP_KEY_FILE={place / 'key.pem'}")
        _say(f'  AICD_GITHUB_WEBHOOK_SECRET="$(cat {place / "webhook-secret"})"')
        return ExitCode.OK

    run_process(work, as_json=as_json)


def _tell(text: str) -> None:
    sys.stderr.write(text + "\n")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
