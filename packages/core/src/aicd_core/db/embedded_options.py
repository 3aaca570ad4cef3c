"""How the embedded Postgres is configured."""

OPTIONS = {
    "listen_addresses": "",
    "shared_buffers": "64MB",
    "max_connections": "200",
    "log_min_messages": "warning",
    # What is kept for a receiver of the log that is away: then its next copy begins anew, and no disk fills up.
    "max_slot_wal_keep_size": "4GB",
}
FLEETING = {
    "fsync": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "min_wal_size": "32MB",
    "max_wal_size": "128MB",
}
"""Besides those, of a server whose data nobody will miss: little is written twice, and its log stays small."""


def switches(*, durable: bool) -> str:
    """The options as arguments of the server's own command."""
    settings = OPTIONS if durable else OPTIONS | FLEETING
    return " ".join(f"-c {name}='{value}'" for name, value in settings.items())
