"""What web pages and letters leave in a script that was copied from them. The lines stay those of the file."""

from __future__ import annotations

import re
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

#: What must be in a text that has tags; to look for those takes a tenth of all the reading.
_SIGN_OF_TAGS = re.compile(rf"</?[a-z]|{_BBCODE}", re.IGNORECASE)


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


def untagged(text: str) -> str:
    """A script, or a line of one, without the tags of web pages and forums."""
    return _COMMENT_OR_TAGS.sub(lambda found: "" if found["tags"] else found[0], text)
