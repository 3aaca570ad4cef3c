"""The floor: a loop on the bare SDK with one shell tool, nothing recorded, checked or contained."""

import subprocess
import sys

import anthropic

SYSTEM = "Bare loop."
TOOLS = [
    {
        "name": "shell",
        "description": "Runs a command.",
        "input_schema": {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]},
    }
]


def main(url: str) -> None:
    client = anthropic.Anthropic(api_key="none", base_url=url, max_retries=0)
    messages = [{"role": "user", "content": "Carry it out."}]
    while True:
        with client.messages.stream(
            model="claude-sonnet-5-5", max_tokens=1000, system=SYSTEM, tools=TOOLS, messages=messages
        ) as stream:
            reply = stream.get_final_message()
        messages.append(
            {
                "role": "assistant",
                "content": [
                    block.model_dump(include={"type", "text", "id", "name", "input"}) for block in reply.content
                ],
            }
        )
        results = []
        for block in reply.content:
            if block.type == "tool_use":
                if block.name == "done":
                    return
                done = subprocess.run(block.input["command"], shell=True, check=False, capture_output=True, text=True)
                results.append({"type": "tool_result", "tool_use_id": block.id, "content": done.stdout + done.stderr})
        messages.append({"role": "user", "content": results})


if __name__ == "__main__":
    main(sys.argv[1])
