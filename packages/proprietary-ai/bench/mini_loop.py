"""mini-swe-agent with its own settings, run by an interpreter that has it installed."""

import sys
from pathlib import Path

import minisweagent.config
import yaml
from minisweagent.agents.default import DefaultAgent
from minisweagent.environments.local import LocalEnvironment
from minisweagent.models.litellm_model import LitellmModel


def main(url: str, trajectory: str) -> None:
    settings = yaml.safe_load((Path(minisweagent.config.__file__).parent / "mini.yaml").read_text())
    known = {"system_template", "instance_template"}
    agent = {name: value for name, value in settings["agent"].items() if name in known}
    model = LitellmModel(
        model_name="openai/scripted",
        model_kwargs={"api_base": f"{url}/v1", "api_key": "none"},
        cost_tracking="ignore_errors",
    )
    environment = LocalEnvironment()
    DefaultAgent(model, environment, output_path=Path(trajectory), cost_limit=0, **agent).run("Carry it out.")


if __name__ == "__main__":
    main(*sys.argv[1:])
