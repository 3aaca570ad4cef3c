"""Commands that installed packages add: entry points of the group `aicd.commands`.

Each names a function that takes the Typer application and registers commands on it. It is called at every start of
`aicd`, so its module has to be light, and loads what its commands need when they run.
"""

from importlib.metadata import entry_points

import typer

GROUP = "aicd.commands"


def add_commands(app: typer.Typer) -> None:
    """Registers every installed package's commands, in the order of their names."""
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        entry.load()(app)
