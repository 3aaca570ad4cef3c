"""Billing: what a plan charges for, told to Stripe once, and compared with what Stripe counted."""
