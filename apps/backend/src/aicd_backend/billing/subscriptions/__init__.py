"""What Stripe says of an organization, in its account."""
