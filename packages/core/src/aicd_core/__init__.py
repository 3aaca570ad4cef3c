"""The Body of AI-CD: contracts, jobs, policy and the orchestrator that ties them together."""
