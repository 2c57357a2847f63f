"""Values of the scripting language: words, strings, variables, brackets.

Everything here goes forward over the text once. Looking for the end of a bracket or a string that has none is the
only thing that could cost more; a `Budget` bounds what is spent on that in one file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from evenflow.formats.routeros.source import decode_bytes
from evenflow.formats.routeros.statement import Code, Template, Variable

#: Brackets within brackets that are followed. RouterOS's own scripts stay below ten.
MAX_NESTING = 64

#: Longest piece in brackets; RouterOS itself stores no script beyond 64 KiB.
MAX_BRACKETED = 1 << 18

#: What web pages make of quotation marks; the last one is what those became that were saved in another encoding.
TYPOGRAPHIC = "“”„″\ufffd"

_BARE = re.compile(rf'[^\s"\\$\[\](){{}};{TYPOGRAPHIC}]+')
_TYPOGRAPHIC_STRING = re.compile(rf'[{TYPOGRAPHIC}]([^{TYPOGRAPHIC}"\\$\n]*)[{TYPOGRAPHIC}]')

#: A string with a plain quotation mark at one end and one of a web page at the other; behind it the command ends, or
#: goes on with a property. What was lost in saving may have been any letter, so it ends none that begins plainly.
_ENDED = r"(?=[ \t]*(?:[\n;{}\])\\#]|\Z)|[ \t]+!?[a-z][a-z0-9.-]*=)"
_TYPOGRAPHIC_THEN_PLAIN = re.compile(rf'[{TYPOGRAPHIC}]([^{TYPOGRAPHIC}"\\$\n]*)"{_ENDED}')
_PLAIN_THEN_TYPOGRAPHIC = re.compile(rf'"([^{TYPOGRAPHIC}"\\$\n]*)[{TYPOGRAPHIC[:-1]}]{_ENDED}')

#: At the end of what seems to be a string: the quotation mark behind it does not end that one, it begins the next.
_NEXT_BEGINS = re.compile(r"(?:\A|[ \t])!?[a-z][a-z0-9.-]*=\Z")

_PLAIN_STRING = re.compile(r'"([^"\\$\n]*)"')
_STRING_RUN = re.compile(r'[^"\\$\n]+')

#: What a terminal shows where a command goes on, `\... ` or `... `: a pattern that may match nothing.
PROMPT_OF_REST = r"(?:[ \t]*\\?\.\.\.(?=\s|\Z))?"

_CONTINUATION = re.compile(rf"\\[ \t]*\n{PROMPT_OF_REST}[ \t]*")
_CONTINUATION_IN_STRING = re.compile(r"\\[ \t]*\n[ \t]*")
_BLANKS = re.compile(rf"(?:[^\S\n]+|\\[ \t]*\n{PROMPT_OF_REST})*")
_HEX_RUN = re.compile(r"(?:\\[0-9A-F]{2})+")
_VARIABLE = re.compile(r'\$(?:"([^"\\$\n]*)"|([A-Za-z0-9_]+))')
_CODE_SPECIAL = re.compile(r'["\\{}\[\]()#]')
_STRING_SPECIAL = re.compile(r'["\\$]')
_LONE_VARIABLE = re.compile(r'[(\s]*\$(?:"([^"\\$]*)"|(\w+))[)\s]*')
_LONE_STRING = re.compile(r'[(\s]*"([^"\\$]*)"[)\s]*')
_NEXT_PROPERTY = re.compile(r"!?[a-z][a-z0-9-]*=")

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "_": " ", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_CLOSING = {"{": "}", "[": "]", "(": ")"}

#: A bare word that ends in one of these goes on after a continuation.
_WORD_GOES_ON = "-,:/.=%@!~"


class MalformedError(Exception):
    """A statement can't be read; the message says why. The scanner stands at the place."""

    def __init__(self, message: str, code: str = "syntax") -> None:
        self.code = code
        super().__init__(message)


@dataclass(slots=True)
class Budget:
    """How many characters may still be gone over in vain; after that, brackets and strings end on their line."""

    left: int


class Scanner:
    """A position in a text, with the line it is on."""

    def __init__(self, text: str, line: int = 1, budget: Budget | None = None, *, same_line: bool = False) -> None:
        """`same_line`: all of the text counts as that one line (a script within a string)."""
        self.text = text
        self.pos = 0
        self.line = line
        self.same_line = same_line
        self.budget = budget or Budget(2 * len(text))
        self.typographic_line = 0

    def down(self, lines: int = 1) -> None:
        """Count line ends that were passed."""
        if not self.same_line:
            self.line += lines

    def skip_blanks(self) -> None:
        """Go over blanks and continuations, not over line ends."""
        found = _BLANKS.match(self.text, self.pos)
        if found and found.end() > self.pos:
            if found.end() - self.pos > 1:
                self.down(found[0].count("\n"))
            self.pos = found.end()

    def value(self, *, long: bool = False) -> str | Template | Code:
        """Read one value, which may be empty.

        Args:
            long: strings may go over line ends that are not continued.

        Raises:
            MalformedError: a string or bracket is not closed.
        """
        parts: list[str | Variable | Code] = []
        text = self.text
        while True:
            bare = _BARE.match(text, self.pos)
            if bare:
                parts.append(bare[0])
                self.pos = bare.end()
            sign = text[self.pos : self.pos + 1]
            if sign == '"':
                parts.extend(self._string(long=long))
            elif sign == "$":
                parts.append(self._variable())
            elif sign and sign in "[({":
                parts.append(self._bracket())
            elif sign and sign in TYPOGRAPHIC:
                parts.append(self._typographic(first=not parts or parts == ["!"]))
            elif sign != "\\" or not self._backslash(parts):
                return _joined(parts)

    def string(self) -> str | Template | Code:
        """Read one string; its quotation mark comes next. Raises MalformedError."""
        return _joined(self._string(long=True))

    def variable(self) -> str | Template | Code:
        """Read one variable; its `$` comes next. Raises MalformedError."""
        return _joined([self._variable()])

    def bracket(self) -> Code:
        """Read one piece in brackets; the opening one comes next. Raises MalformedError."""
        return self._code()

    def _backslash(self, parts: list[str | Variable | Code]) -> bool:
        """Read a continuation or an escape within a bare word; False if the word ends here."""
        continuation = _CONTINUATION.match(self.text, self.pos)
        if continuation is None:
            following = self.text[self.pos + 1 : self.pos + 2]
            if not following:
                self.pos += 1
                return False
            parts.append(self._escape())
            return True
        if parts and not self._word_goes_on(parts[-1], continuation.end()):
            return False
        self.pos = continuation.end()
        self.down()
        return True

    def _word_goes_on(self, last: str | Variable | Code, following: int) -> bool:
        if isinstance(last, str) and last and last[-1] in _WORD_GOES_ON:
            return True
        return _BARE.match(self.text, following) is not None and not _NEXT_PROPERTY.match(self.text, following)

    def _escape(self) -> str:
        hexadecimal = _HEX_RUN.match(self.text, self.pos)
        if hexadecimal:
            self.pos = hexadecimal.end()
            # A run of bytes may be one UTF-8 sequence; single bytes above 127 are what WinBox writes.
            return decode_bytes(bytes.fromhex(hexadecimal[0].replace("\\", "")))
        sign = self.text[self.pos + 1 : self.pos + 2]
        self.pos += 2
        if sign == "\n":
            self.down()
        return _ESCAPES.get(sign, sign)

    # --- strings -------------------------------------------------------------------------------------------------

    def _string(self, *, long: bool) -> list[str | Variable | Code]:
        plain = _PLAIN_STRING.match(self.text, self.pos)
        if plain and not plain[1].endswith("="):
            self.pos = plain.end()
            return [plain[1]]
        start, line = self.pos, self.line
        mixed = _PLAIN_THEN_TYPOGRAPHIC.match(self.text, start)
        try:
            parts = self._string_parts(long=long and self.budget.left > 0)
        except MalformedError:
            self.budget.left -= self.pos - start
            self.pos, self.line = start, line
            if mixed is None:
                raise
            return [self._of_web_page(mixed)]
        if mixed is None or not isinstance(parts[-1], str) or not _NEXT_BEGINS.search(parts[-1]):
            return parts
        self.pos, self.line = start, line
        return [self._of_web_page(mixed)]

    def _typographic(self, *, first: bool) -> str:
        """A string in the quotation marks of a web page, where a value begins; elsewhere the sign stands for itself."""
        found = _TYPOGRAPHIC_STRING.match(self.text, self.pos) if first else None
        if first and found is None:
            found = _TYPOGRAPHIC_THEN_PLAIN.match(self.text, self.pos)
        if found is None:
            self.pos += 1
            return self.text[self.pos - 1]
        return self._of_web_page(found)

    def _of_web_page(self, found: re.Match[str]) -> str:
        self.pos = found.end()
        self.typographic_line = self.typographic_line or self.line
        return found[1]

    def _string_parts(self, *, long: bool) -> list[str | Variable | Code]:
        parts: list[str | Variable | Code] = [""]
        text = self.text
        self.pos += 1
        while True:
            run = _STRING_RUN.match(text, self.pos)
            if run:
                parts.append(run[0])
                self.pos = run.end()
            sign = text[self.pos : self.pos + 1]
            if sign == '"':
                self.pos += 1
                return parts
            if sign == "\\":
                continuation = _CONTINUATION_IN_STRING.match(text, self.pos)
                if continuation:
                    self.pos = continuation.end()
                    self.down()
                else:
                    parts.append(self._escape())
            elif sign == "$":
                parts.append(self._interpolated())
            elif sign == "\n" and long:
                parts.append("\n")
                self.pos += 1
                self.down()
            else:
                raise MalformedError('a string is not closed; put a " where it ends')

    def _interpolated(self) -> str | Variable | Code:
        following = self.text[self.pos + 1 : self.pos + 2]
        if following and following in "([":
            self.pos += 1
            return self._code()
        if following.isalnum() and _VARIABLE.match(self.text, self.pos):
            return self._variable()
        self.pos += 1
        return "$"

    def _variable(self) -> str | Variable | Code:
        found = _VARIABLE.match(self.text, self.pos)
        if found:
            self.pos = found.end()
            return Variable(found[1] if found[2] is None else found[2])
        self.pos += 1
        if self.text[self.pos : self.pos + 1] in ("(", "["):
            return self._code()
        return "$"

    # --- brackets ------------------------------------------------------------------------------------------------

    def _code(self) -> Code:
        """Read a piece in brackets, whatever is in it."""
        end = self._end_of_bracket(self.pos)
        code = Code(self.text[self.pos : end], self.line)
        self.down(code.text.count("\n"))
        self.pos = end
        return code

    def _bracket(self) -> str | Variable | Code:
        """Read a piece in brackets; in parentheses around one variable or string these are what it is."""
        code = self._code()
        if code.text[0] == "(":
            variable = _LONE_VARIABLE.fullmatch(code.text)
            if variable:
                return Variable(variable[1] if variable[2] is None else variable[2])
            string = _LONE_STRING.fullmatch(code.text)
            if string:
                return string[1]
        return code

    def _end_of_bracket(self, start: int) -> int:
        """Where the bracket at `start` has been closed (the position after it).

        Raises:
            MalformedError: it is not, or the nesting is too deep, or it is too long.
        """
        text = self.text
        if self.budget.left > 0:
            limit = min(len(text), start + MAX_BRACKETED)
        else:
            end_of_line = text.find("\n", start)
            limit = len(text) if end_of_line < 0 else end_of_line
        stack: list[str] = []
        pos = start
        while True:
            in_string = bool(stack) and stack[-1] == '"'
            found = (_STRING_SPECIAL if in_string else _CODE_SPECIAL).search(text, pos, limit)
            if found is None:
                self.budget.left -= limit - start
                raise MalformedError(f"a {text[start]} is not closed; put the closing one where it ends")
            pos = self._over(found.start(), stack, limit)
            if pos < 0 or len(stack) > MAX_NESTING:
                self.budget.left -= found.start() - start
                deep = len(stack) > MAX_NESTING
                what = "brackets are nested too deep" if deep else f"the brackets after {text[start]} don't pair"
                raise MalformedError(f"{what}; write the command with matching brackets")
            if not stack:
                return pos

    def _over(self, at: int, stack: list[str], limit: int) -> int:
        """Take the sign at `at` into account; the position after it, -1 where it closes what is not open."""
        text, sign = self.text, self.text[at]
        if sign == "\\":
            return at + 2
        if sign == '"':
            if stack[-1] == '"':
                stack.pop()
            else:
                stack.append('"')
        elif sign == "$":
            following = text[at + 1 : at + 2]
            if following and following in "([":
                stack.append(_CLOSING[following])
                return at + 2
        elif sign == "#":
            if stack[-1] == "}" and text[at - 1] in " \t\n;{":
                end = text.find("\n", at, limit)
                return limit if end < 0 else end
        elif sign in _CLOSING:
            stack.append(_CLOSING[sign])
        elif stack.pop() != sign:
            return -1
        return at + 1


def _joined(parts: list[str | Variable | Code]) -> str | Template | Code:
    if not parts:
        return ""
    if len(parts) == 1:
        only = parts[0]
        return Template((only,)) if isinstance(only, Variable) else only
    pieces: list[str | Variable | Code] = []
    text: list[str] = []
    for part in parts:
        if isinstance(part, str):
            text.append(part)
            continue
        pieces.extend(["".join(text), part])
        text = []
    pieces = [piece for piece in (*pieces, "".join(text)) if piece != ""]
    if not pieces:
        return ""
    only = pieces[0]
    return only if len(pieces) == 1 and not isinstance(only, Variable) else Template(tuple(pieces))
