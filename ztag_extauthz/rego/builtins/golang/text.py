"""Go's strings: bytes that need not be UTF-8, and letters that change their case one by one."""

from contextlib import suppress

from ztag_extauthz.rego.builtins.golang.quote import raw_byte
from ztag_extauthz.rego.pace import spend_text


def to_bytes(text: str) -> bytes:
    spend_text(len(text))
    return text.encode("utf-8", "surrogateescape")


def to_text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def readable(text: str) -> str:
    """Put U+FFFD for bytes that are no UTF-8, as Go does wherever it looks at characters."""
    if text.isascii():
        return text
    with suppress(UnicodeEncodeError):
        text.encode()
        return text
    return "".join("\ufffd" if raw_byte(character) is not None else character for character in text)


def lower_runes(text: str) -> str:
    """Lower each letter by itself: no final sigma, and no letter becomes two."""
    if text.isascii():
        return text.lower()
    return "".join(map(_lower_rune, text))


def upper_runes(text: str) -> str:
    if text.isascii():
        return text.upper()
    return "".join(map(_upper_rune, text))


def _lower_rune(character: str) -> str:
    if raw_byte(character) is not None:
        return "\ufffd"
    lowered = character.lower()
    return lowered if len(lowered) == 1 else lowered[0]


def _upper_rune(character: str) -> str:
    if raw_byte(character) is not None:
        return "\ufffd"
    for raised in (character.upper(), character.title()):
        if len(raised) == 1:
            return raised
    return character
