"""Sub-results of jobs: plan, change, reports, review, pull request. Stored once, never changed."""
