"""What watchers of a job were told, line by line."""
