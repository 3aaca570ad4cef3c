"""How organizations pay."""
