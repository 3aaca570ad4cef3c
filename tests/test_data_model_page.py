"""The picture of the tables is that of today's models."""

import subprocess
import sys
from pathlib import Path

from aicd_core.migrations.tables import METADATA

ROOT = Path(__file__).parents[1]


def test_the_diagram_is_current_and_names_every_table():
    script = [sys.executable, str(ROOT / "scripts" / "make_er_diagram.py"), "--check"]
    done = subprocess.run(script, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
    page = (ROOT / "docs" / "data-model.md").read_text()
    for name in METADATA.tables:
        assert f"    {name} {{" in page
