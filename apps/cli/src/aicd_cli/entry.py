"""Where the `aicd` program begins."""

import gc
import importlib


def main() -> None:
    """Loads the command line and runs it; the process's exit code is the one of design §8.

    While some 700 modules load, nothing becomes garbage, and looking for it costs a sixth of the start; afterwards
    they stay, so the collector need not look at them again.
    """
    gc.disable()
    command_line = importlib.import_module("aicd_cli.main")
    gc.freeze()
    gc.enable()
    command_line.app()
