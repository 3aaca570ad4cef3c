"""What a model may do: each tool is told to it by a schema, and works on a `Workspace` only."""
