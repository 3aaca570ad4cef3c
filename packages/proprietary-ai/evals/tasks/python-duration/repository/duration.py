"""Durations for people."""


def format_duration(seconds: int) -> str:
    """Seconds as h:mm:ss."""
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours % 24}:{minutes:02}:{seconds:02}"
