"""What `bench/orchestrator.py` measures: the floor, ourselves and our peers, each run in a process of its own."""
