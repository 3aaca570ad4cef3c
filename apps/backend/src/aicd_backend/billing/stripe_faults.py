"""Why a call of Stripe did not succeed, told apart by what may be done about it."""


class StripeFault(Exception):  # noqa: N818 - faults are what its subclasses are
    """A call that did not succeed. The message is Stripe's own, on one line."""

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(" ".join(message.split())[:500])
        self.code = code


class Unheard(StripeFault):
    """No answer, or Stripe failed. `certain`: it had no effect, for Stripe was not even reached."""

    certain = False


class Unreached(Unheard):
    """Stripe was not reached at all."""

    certain = True


class Busy(StripeFault):
    """Stripe asks to come back later: after `wait` seconds, if it said so. The call had no effect."""

    def __init__(self, message: str, wait: float | None) -> None:
        super().__init__(message, "rate_limit")
        self.wait = wait


class Refused(StripeFault):
    """Stripe will not do this, however often it is asked."""


class Duplicate(Refused):
    """Stripe has a meter event of this identifier."""


class NotAllowed(StripeFault):
    """The key is no good, or may not do this: nothing can be done until that is mended."""
