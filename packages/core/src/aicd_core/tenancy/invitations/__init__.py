"""Invitations into an organization, by e-mail address and secret link."""
