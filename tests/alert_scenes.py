"""Scenes for the rules of alerts: series as `promtool test rules` writes them, over an installation that is well."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from debian_programs import debian_program

PROMETHEUS = Path(__file__).parents[1] / "docker" / "prometheus"
MINUTES = 120
"""How long a scene lasts; there is a value for each minute, and the alerts are looked at when it ends."""

API, WORKER = 'job="aicd-api",instance="api:9464"', 'job="aicd-worker",instance="10.0.0.2:9464"'
WELL: Mapping[str, str] = {
    f"up{{{API}}}": "1x120",
    f"up{{{WORKER}}}": "1x120",
    'up{job="loki",instance="loki:3100"}': "1x120",
    f"process_start_time_seconds{{{WORKER}}}": "0x120",
    f"aicd_database_up{{{API}}}": "1x120",
    f"aicd_database_up{{{WORKER}}}": "1x120",
    "aicd_backup_last_success_timestamp_seconds": "0x120",
    f"aicd_data_size_bytes{{{WORKER}}}": "100000000000x120",
    f"aicd_data_free_bytes{{{WORKER}}}": "50000000000x120",
    f"aicd_queue_oldest_seconds{{{WORKER}}}": "90x120",
    f"aicd_leases_held{{{API}}}": "0x120",
    f"aicd_leases_held{{{WORKER}}}": "0x120",
    f"aicd_leases_lost_total{{{WORKER}}}": "0x120",
    f"aicd_deliveries_oldest_seconds{{{WORKER}}}": "2x120",
}


@dataclass(frozen=True)
class Scene:
    """What differs from an installation that is well, and all alerts that then fire. None takes a series away."""

    about: str
    series: Mapping[str, str | None]
    fires: frozenset[str] = field(default_factory=frozenset)

    @property
    def figures(self) -> frozenset[str]:
        """The names of what differs."""
        return frozenset(name.partition("{")[0] for name in self.series)

    def with_another(self, other: "Scene") -> "Scene":
        """Both at once; they differ in other figures, so that neither is told of the other."""
        return Scene(f"{self.about}; {other.about}", {**self.series, **other.series}, self.fires | other.fires)

    def test(self) -> dict[str, object]:
        """The scene as promtool reads it."""
        laid = {**WELL, **self.series}
        expected = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(self.fires)]
        return {
            "name": self.about,
            "interval": "1m",
            "input_series": [{"series": name, "values": values} for name, values in laid.items() if values is not None],
            "promql_expr_test": [
                {
                    "expr": 'group by (alertname) (ALERTS{alertstate="firing"})',
                    "eval_time": f"{MINUTES}m",
                    "exp_samples": expected,
                }
            ],
        }


def fires(alert: str, about: str, series: Mapping[str, str | None], *others: str) -> Scene:
    """A scene in which that alert fires, and only those others with it."""
    return Scene(f"{alert}: {about}", series, frozenset({alert, *others}))


def quiet(alert: str, about: str, series: Mapping[str, str | None]) -> Scene:
    """A scene that comes close to that alert, and in which nothing fires."""
    return Scene(f"{alert}, not: {about}", series)


def promtool(*arguments: str, told: bytes | None = None) -> "subprocess.CompletedProcess[str]":
    """Runs promtool; what it says is in stdout, as one text."""
    program = debian_program("promtool")
    command = [program.path, *arguments]
    done = subprocess.run(command, input=told, capture_output=True, env=program.environment, timeout=120)
    return subprocess.CompletedProcess(command, done.returncode, (done.stdout + done.stderr).decode())


def together(scenes: Sequence[Scene]) -> list[Scene]:
    """The same in fewer scenes: promtool makes a database for each, which takes most of its time."""
    packed: list[Scene] = []
    for scene in scenes:
        place = next((n for n, one in enumerate(packed) if not one.figures & scene.figures), None)
        if place is None:
            packed.append(scene)
        else:
            packed[place] = packed[place].with_another(scene)
    return packed


def played(scenes: Sequence[Scene], rules: Path, place: Path) -> str:
    """Plays all scenes against a file of rules; what promtool says if one of them comes out otherwise, else ''."""
    tests = [scene.test() for scene in together(scenes)]
    file = place / "scenes.yml"
    suite = {"rule_files": [str(rules)], "evaluation_interval": "1m", "tests": tests}
    file.write_text(json.dumps(suite))  # JSON is YAML
    done = promtool("test", "rules", str(file))
    return done.stdout if done.returncode else ""
