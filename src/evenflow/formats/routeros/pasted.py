"""What web pages and letters leave in a script that was copied from them. The lines stay those of the file."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from evenflow.model.finding import Origin

if TYPE_CHECKING:
    from evenflow.formats.routeros.notes import Notes

_HTML = r"</?(?:pre|code|p|br|div|span|blockquote)(?:[ \t][^<>\n]*)?/?>"
_BBCODE = r"\[/?(?:b|code|color|font|hide|i|icode|pre|quote|size|spoiler|u|url)(?:=[^\[\]\n]*)?\]"
_TAG = rf"(?:{_HTML}|{_BBCODE})"

_COMMENT = r"^[ \t]*\#.*$"

#: A comment, which stays as it is, or tags at the beginning or end of a line.
_COMMENT_OR_TAGS = re.compile(
    rf"{_COMMENT}|(?P<tags>^[ \t]*(?:{_TAG}[ \t]*)+|(?<![ \t])(?:[ \t]*{_TAG})+[ \t]*$)", re.MULTILINE | re.IGNORECASE
)

#: What lists have before each entry, or pages before each line, and a command behind that: one with a slash, or with a
#: property. A number alone is before many a sentence as well: it asks for more of a command.
LIST_MARK = re.compile(
    r"(?P<mark>[-*+•‣◦▪●·–—]|\(?(?:[0-9]{1,3}|[a-z])[.)])(?:[ \t]*(?=/[a-z])|[ \t]+(?=[a-z][^\n=#]{0,200}=))"
    r"|(?P<number>[0-9]{1,4})[ \t]+(?=/[a-z]|(?:add|set|ip|ipv6|interface|routing)[ \t][^\n=#]{0,200}=)"
)

#: What must be in a text that has tags; to look for those takes a tenth of all the reading.
_SIGN_OF_TAGS = re.compile(rf"</?[a-z]|{_BBCODE}", re.IGNORECASE)

#: Signs that nobody sees: they join or part letters, say where a word may be broken, or which way it is written.
_INVISIBLE = "\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff"

_COMMENT_OR_INVISIBLE = re.compile(rf"{_COMMENT}|(?P<signs>[{_INVISIBLE}]+)", re.MULTILINE)

#: The last letter of Latin writings: what comes behind it may be of one that joins letters, or a picture.
_LATIN = "\u024f"

#: Lines that a finding names one by one.
_LINES_NAMED = 5


def cleaned(text: str, notes: Notes) -> str:
    """A script without what the page that it was copied from has put into it; findings tell of that."""
    return without_page_tags(without_invisible_signs(text, notes), notes)


def without_invisible_signs(text: str, notes: Notes) -> str:
    """A script without signs that can't be seen; one finding tells of them."""
    if text.isascii():
        return text
    signs = [found for found in _COMMENT_OR_INVISIBLE.finditer(text) if _is_stray(found)]
    if not signs:
        return text
    lines = _lines_of(text, signs)
    sign = signs[0]["signs"][0]
    name = f"U+{ord(sign):04X} {unicodedata.name(sign)}"
    more = [str(line) for line in lines[1 : _LINES_NAMED + 1]] + ["…"] * (len(lines) > _LINES_NAMED + 1)
    also = f", also on {'line' if len(more) == 1 else 'lines'} {', '.join(more)}" if more else ""
    what = (
        f"{name} can't be seen and is read as if it were not there; RouterOS takes it as it stands, so that a value is"
    )
    notes.warning(
        "invisible-signs", Origin(notes.file, lines[0], name), f"{what} another one; take such signs out{also}"
    )
    return visible(text)


def visible(text: str) -> str:
    """A script, or a line of one, without signs that can't be seen; comments keep theirs."""
    return _COMMENT_OR_INVISIBLE.sub(lambda found: "" if _is_stray(found) else found[0], text)


def _is_stray(found: re.Match[str]) -> bool:
    """Whether signs are stray: not in a comment, and not between letters of a writing that has use for them."""
    signs, start = found["signs"], found.start()
    if not signs:
        return False
    before, behind = found.string[max(start - 1, 0) : start], found.string[found.end() : found.end() + 1]
    if signs == "\u00ad":
        # It may be half a letter in an encoding that is not tried; the other half stands beside it then.
        return before.isascii() and behind.isascii()
    return not (_may_be_joined(before) and _may_be_joined(behind))


def _may_be_joined(sign: str) -> bool:
    return sign > _LATIN and unicodedata.category(sign)[0] in "LMS"


def _lines_of(text: str, found: list[re.Match[str]]) -> list[int]:
    lines: list[int] = []
    line, at = 1, 0
    for each in found:
        line += text.count("\n", at, each.start())
        at = each.start()
        if not lines or lines[-1] != line:
            lines.append(line)
    return lines


def without_page_tags(text: str, notes: Notes) -> str:
    """A script with blanks in place of the tags of web pages and forums; one finding tells of them."""
    may_have = _SIGN_OF_TAGS.search(text) is not None
    tag = next((found for found in _COMMENT_OR_TAGS.finditer(text) if found["tags"]), None) if may_have else None
    if tag is None:
        return text
    shown = tag[0].strip()
    where = Origin(notes.file, text.count("\n", 0, tag.start()) + 1, shown)
    notes.warning("page-tags", where, f"{shown} is of a web page and is not read; take out all such tags")
    return _COMMENT_OR_TAGS.sub(lambda found: " " * len(found[0]) if found["tags"] else found[0], text)


def unlisted(line: str) -> str:
    """A line without the mark of a list before its command."""
    blanks = len(line) - len(line.lstrip(" \t"))
    mark = LIST_MARK.match(line, blanks)
    return f"{line[:blanks]}{line[mark.end() :]}" if mark else line


def untagged(text: str) -> str:
    """A script, or a line of one, without the tags of web pages and forums."""
    return _COMMENT_OR_TAGS.sub(lambda found: "" if found["tags"] else found[0], text)
