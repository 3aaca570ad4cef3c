"""GitHub: App and personal credentials, its REST API, and the code host on both."""
