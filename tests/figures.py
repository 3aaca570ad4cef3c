"""Figures that expressions of Prometheus name, and those that processes tell."""

import re

from aicd_core.monitoring.probes import PROBES
from aicd_core.monitoring.service import UP
from aicd_core.telemetry import backups  # noqa: F401 - declares its figures
from aicd_core.telemetry.metrics import DECLARED, REGISTRY

NAME = re.compile(r"\b(?:aicd|process|python)_\w+")
SAMPLES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}
OF_BACKUPS = frozenset(each.name for each in DECLARED if each.name.startswith("aicd_backup_"))
"""What whoever makes backups tells: no process that runs until it is stopped does."""


def figures_in(expression: str) -> set[str]:
    """All figures that an expression names."""
    return set(NAME.findall(expression))


def figures_told() -> set[str]:
    """The names of all samples that a process may tell."""
    counted = {family.name + end for family in REGISTRY.collect() for end in SAMPLES[family.type]}
    return counted | {UP.name} | {figure.name for probe in PROBES for figure in probe.figures} | OF_BACKUPS
