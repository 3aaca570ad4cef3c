"""What the sandbox's way out refused."""

from aicd_core.contracts.values import Value


class Denial(Value):
    """A connection that a command tried to make and was refused."""

    host: str
    port: int
    reason: str
