"""What GitHub tells us: verified, stored once, answered at once; read and handled from the store."""

SOURCE = "github"
"""The name of these deliveries in `deliveries.source`."""
