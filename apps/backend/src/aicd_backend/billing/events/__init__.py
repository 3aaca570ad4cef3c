"""What Stripe told, stored once."""
