"""What jobs, issues, repositories and organizations may cost, and what calls under way hold back of it."""
