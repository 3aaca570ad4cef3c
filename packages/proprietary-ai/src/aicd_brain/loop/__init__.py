"""The one loop that planner, coder and critic share: ask, use tools, append, until a tool ends it."""
