"""Whether a text speaks to us. Pure."""

import re

BOT = "[bot]"
_COMMAND = re.compile(r"^ {0,3}\W*/aicd\b", re.IGNORECASE | re.MULTILINE)


def addresses(text: str, login: str) -> bool:
    """Whether a text calls the account of this login, as people write it: an App's without its ending."""
    name = re.escape(login.removesuffix(BOT))
    return re.search(rf"(?<![\w@/.`-])@{name}(?:\[bot\])?(?![\w/-])", text, re.IGNORECASE) is not None


def is_command(text: str) -> bool:
    """Whether a comment holds, or was meant to hold, a command, which is answered as one."""
    return _COMMAND.search(text) is not None
