"""Measuring agents: tasks with hidden tests, run by the real orchestrator and judged in the sandbox."""
