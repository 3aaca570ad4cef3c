"""Offering an agent to processes that a test starts, without installing it."""

from pathlib import Path

from aicd_core.agents.registry import GROUP


def offer_agent(folder: Path, name: str, value: str) -> str:
    """Makes the agent known to any process that has `folder` on its PYTHONPATH.

    Args:
        value: `module:Class`, as in a package's entry points.

    Returns:
        `folder` as text, for the PYTHONPATH.
    """
    info = folder / f"aicd_test_{name}-0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: aicd-test-{name}\nVersion: 0\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{name} = {value}\n")
    return str(folder)
