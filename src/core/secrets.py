"""Passwords of database addresses: masked wherever a text goes, known only to this process."""

import re

MASK = "***"
_PASSWORD = re.compile(r"(\w+://[^:/@\s'\"]*):[^\s'\"]*@")  # user:password@, up to the last @
_SECRET_OPTION = re.compile(r"([?&;,](?:[^=&\s]*(?:password|token|secret|properties)[^=&\s]*)=)[^&\s'\"]+", re.I)
_secrets: dict[str, str] = {}  # masked text -> what the user gave


def mask(text: str) -> str:
    """The text with every password of an address, and every secret option behind its '?', replaced by ***."""
    return _SECRET_OPTION.sub(rf"\1{MASK}", _PASSWORD.sub(rf"\1:{MASK}@", text))


def conceal(text: str) -> str:
    """Mask a text, such as ADDRESS or mongo_url=ADDRESS, and remember the address for `reveal`."""
    masked = mask(text)
    if masked != text:
        start = re.match(r"[\w.]+=", text)  # of key=value
        begin = start.end() if start else 0
        _secrets[masked[begin:]] = text[begin:]
    return masked


def reveal(masked: str) -> str:
    """What `conceal` was given; the text itself where it had no secret."""
    return _secrets.get(masked, masked)
