"""Finding the settings of every package."""

import importlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from aicd_core.settings import EnvironmentSettings


def settings_classes(files: Iterable[Path]) -> Iterator[type[EnvironmentSettings]]:
    """The classes of settings in those of the files that are called so."""
    for path in files:
        if path.name == "settings.py" and "src" in path.parts:
            module = importlib.import_module(".".join(path.with_suffix("").parts[path.parts.index("src") + 1 :]))
            for kind in vars(module).values():
                if isinstance(kind, type) and issubclass(kind, EnvironmentSettings):
                    yield kind
