"""The ledger of what jobs used up."""
