"""Talking to models: one neutral form, a thin adapter for each vendor, one gateway through which every call goes."""
