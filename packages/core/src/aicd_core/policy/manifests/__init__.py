"""What a repository depends on, read from manifests and locks. What cannot be read says nothing."""
