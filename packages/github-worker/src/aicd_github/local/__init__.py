"""The code host for a repository on this machine or behind a plain git URL."""
