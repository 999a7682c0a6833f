"""Go's `strconv.Quote`: text as a Go literal."""

from typing import Final

from ztag_extauthz.rego.pace import spend_text

_NAMED: Final = {
    "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v", "\\": "\\\\",
}  # fmt: skip


def raw_byte(character: str) -> int | None:
    """Give the byte that a character stands for where a text is no UTF-8 (Python's surrogate escapes)."""
    code = ord(character)
    return code - 0xDC00 if 0xDC80 <= code <= 0xDCFF else None


def _escaped(character: str, quote: str, *, ascii_only: bool) -> str:
    if character == quote:
        return f"\\{quote}"
    if character in _NAMED:
        return _NAMED[character]
    code = ord(character)
    if character.isprintable() and not (ascii_only and code >= 0x80):
        return character
    raw = raw_byte(character)
    if raw is not None or code < 0x80:
        return f"\\x{code if raw is None else raw:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def quoted(text: str, *, quote: str = '"', ascii_only: bool = False) -> str:
    spend_text(len(text))
    if text.isprintable() and quote not in text and "\\" not in text and not (ascii_only and not text.isascii()):
        return quote + text + quote
    return quote + "".join(_escaped(character, quote, ascii_only=ascii_only) for character in text) + quote


def can_backquote(text: str) -> bool:
    """Tell whether Go would write a text between backquotes: one line, no control characters but tabs."""
    return not any(
        (character < " " and character != "\t") or character in "`\x7f\ufeff" or raw_byte(character) is not None
        for character in text
    )
