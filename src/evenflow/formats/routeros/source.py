"""From bytes to text with one kind of line end."""

from __future__ import annotations

import codecs
import re

_CR_BEFORE_LF = re.compile(r"\r+\n")


def decode(source: bytes | str) -> str:
    r"""The text of a script, its lines ended by `\n`, without a byte order mark.

    Bytes are UTF-8, or UTF-16 with a byte order mark (which editors on Windows write), or else Windows-1252, the
    usual one of WinBox; bytes that this lacks are taken as Latin-1. Nothing can fail.
    """
    text = source if isinstance(source, str) else _decode_bytes(source)
    text = text.removeprefix("\ufeff")
    if "\r" not in text:
        return text
    if "\n" not in text:
        return text.replace("\r", "\n")
    return _CR_BEFORE_LF.sub("\n", text)


def _decode_bytes(source: bytes) -> str:
    if source.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return source.decode("utf-16", errors="replace")
    return decode_bytes(source)


def decode_bytes(source: bytes) -> str:
    """UTF-8 if it is that, else Windows-1252, with Latin-1 for the bytes that Windows-1252 has not."""
    try:
        return source.decode("utf-8")
    except UnicodeDecodeError:
        pass
    try:
        return source.decode("cp1252")
    except UnicodeDecodeError:
        return source.decode("latin-1")
