"""`aicd keys`: the keys that sign evidence. Only public halves are ever printed."""

import sys

import typer

from aicd_cli.exit_codes import ExitCode
from aicd_cli.options import AsJson, DataDir
from aicd_cli.process import run_process, show
from aicd_cli.runtime import load_settings, prepare_data_dir
from aicd_core.attestation import SigningKeys, load_signing_keys, rotate
from aicd_core.attestation.keys import public_line

SHOW_EXAMPLE = "Example:  aicd keys show > aicd-public-keys.txt"
ROTATE_EXAMPLE = "Example:  aicd keys rotate"

app = typer.Typer(help="The keys that sign evidence bundles.", epilog=SHOW_EXAMPLE, no_args_is_help=True)


@app.command("show", epilog=SHOW_EXAMPLE)
def show_command(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Print the public keys, one `id:base64` a line, the one that signs first; `aicd verify --key` reads them."""

    async def work() -> ExitCode:
        settings = load_settings(data_dir)
        prepare_data_dir(settings)
        _print(load_signing_keys(settings), as_json=as_json)
        return ExitCode.OK

    run_process(work, as_json=as_json)


@app.command("rotate", epilog=ROTATE_EXAMPLE)
def rotate_command(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Sign with a new key from now on. The old one's private half is forgotten; its public half still verifies."""

    async def work() -> ExitCode:
        settings = load_settings(data_dir)
        prepare_data_dir(settings)
        _print(rotate(settings), as_json=as_json)
        return ExitCode.OK

    run_process(work, as_json=as_json)


def _print(keys: SigningKeys, *, as_json: bool) -> None:
    ordered = sorted(keys.public.items(), key=lambda item: item[0] != keys.newest)
    if as_json:
        show({"signing": keys.newest, "public": [public_line(key_id, key) for key_id, key in ordered]})
        return
    sys.stdout.writelines(f"{public_line(key_id, key)}\n" for key_id, key in ordered)
