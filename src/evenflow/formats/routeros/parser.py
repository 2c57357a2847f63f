"""From text to statements.

Each line of the text ends up in a statement; one that is not RouterOS, or not well-formed, is a statement of
kind `UNKNOWN` with a finding. Time is linear in the length of the text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from evenflow.formats.routeros.arguments import ArgumentReader, Arguments
from evenflow.formats.routeros.menus import ROOT, Menu, menu_at
from evenflow.formats.routeros.pasted import LIST_MARK
from evenflow.formats.routeros.path import NotAMenuError, PathReader
from evenflow.formats.routeros.prose import is_of_routeros, refuse_prose
from evenflow.formats.routeros.scanner import TYPOGRAPHIC, MalformedError, Scanner
from evenflow.formats.routeros.statement import Code, Kind, Statement, menu_text
from evenflow.formats.routeros.torn import LostParts, end_of_command, with_rest
from evenflow.formats.routeros.words import COLONLESS, SCRIPT_WORDS
from evenflow.model.finding import Origin

if TYPE_CHECKING:
    from evenflow.formats.routeros.notes import Notes
    from evenflow.formats.routeros.statement import MenuPath

#: Blocks within blocks that are read; RouterOS's own scripts stay below ten.
MAX_DEPTH = 16

#: After as many lines without one that is RouterOS, the file is something else.
GIVE_UP_AFTER = 20_000

#: More statements than any router has; memory is what they would cost.
MAX_STATEMENTS = 500_000

_SHOWN = 60

_GAP = re.compile(r"[\s;]*")
_COMMENT = re.compile(r"#[^\n]*(?:\n[^\S\n]*#[^\n]*)*")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9-]*(?![^\s/;{}\\([$\"])")
_QUOTED = re.compile(r">[ \t]+[/a-z:\[#{}>]")
_PROMPT = re.compile(r"\[[\w.+-]+@[^\]\n]{1,80}\][ \t]*([^>\n]{0,80})>[ \t]*")
_USUAL = re.compile(r"(add|set)(?=[ \t])")
_PROPERTY_NEXT = re.compile(r"[ \t]+[a-z][a-z0-9-]*=")
_VARIABLE_NAME = re.compile(r"[A-Za-z0-9_]+")


class Parser:
    """Reads one text. `statements`, `gave_up`, and how many are `understood` or `refused`, are the result of `run`."""

    def __init__(self, scanner: Scanner, notes: Notes, menu: Menu = ROOT, depth: int = 0) -> None:
        self.statements: list[Statement] = []
        self.understood = 0
        self.refused = 0
        self.gave_up = False
        self._scan = scanner
        self._notes = notes
        self._menu = menu
        self._depth = depth
        self._groups: list[tuple[Menu, int]] = []
        self._arguments = ArgumentReader(scanner)
        self._paths = PathReader(scanner, notes)
        self._items: dict[tuple[MenuPath, str], str] = {}
        self._lost = LostParts()
        self._list_mark: Origin | None = None

    def run(self) -> None:
        """Read all of it."""
        scan = self._scan
        text, length = scan.text, len(scan.text)
        while True:
            gap = _GAP.match(text, scan.pos)
            if gap and gap.end() > scan.pos:
                scan.down(text.count("\n", scan.pos, gap.end()))
                scan.pos = gap.end()
            if scan.pos >= length:
                break
            self._statement()
            if self._enough():
                break
        self._conclude()

    def _conclude(self) -> None:
        """Tell what there is to say of the whole of it."""
        scan = self._scan
        if self._list_mark:
            mark = self._list_mark.item
            what = f"{mark} before a command is of a web page and is not read; take all such marks and numbers out"
            self._notes.warning("page-tags", self._list_mark, what)
        if scan.typographic_line:
            where = Origin(self._notes.file, scan.typographic_line, '"')
            what = f'the quotation marks are those of a web page ({TYPOGRAPHIC[0]}) and are read as "; write them so'
            self._notes.warning("typographic-quotes", where, what)
        for _, line in self._groups:
            where = Origin(self._notes.file, line, "{")
            self._notes.warning("unclosed-group", where, "{ is not closed; put } where the group ends")

    def _enough(self) -> bool:
        count = len(self.statements)
        if count < GIVE_UP_AFTER:
            return False
        if self.understood + self.refused == 0 and self._depth == 0:
            self.gave_up = True
        elif count >= MAX_STATEMENTS:
            what = f"the file has more than {MAX_STATEMENTS} commands; the rest, from here on, is not read. Split it"
            self._notes.error("too-long", Origin(self._notes.file, self._scan.line), what)
        else:
            return False
        return True

    # --- one statement -------------------------------------------------------------------------------------------

    def _statement(self) -> None:
        scan = self._scan
        start, line = scan.pos, scan.line
        usual = _USUAL.match(scan.text, start) if self._menu.path else None
        try:
            if usual:
                scan.pos = usual.end()
                self._command(self._menu, usual[1], line)
            else:
                self._other(start, line)
        except NotAMenuError:
            if not self._joined(start, line):
                self._unknown(start, line, self._lost_part(start, line))
        except MalformedError as problem:
            self._unknown(start, line, problem)

    def _other(self, start: int, line: int) -> None:
        scan = self._scan
        sign = scan.text[start]
        if sign == "#":
            self._comment(start, line)
        elif sign in "{}":
            self._group(sign, start, line)
        elif sign == "/":
            scan.pos += 1
            self._said_to(ROOT, line)
        elif sign == ":":
            scan.pos += 1
            self._script(start, line, colon=True)
        elif sign == "$":
            self._call(start, line)
        elif sign == "[":
            self._bracketed(start, line)
        elif _QUOTED.match(scan.text, start):
            scan.pos += 1
        elif sign == "\\":
            scan.skip_blanks()
            if scan.pos == start:
                raise NotAMenuError
        else:
            self._by_word(start, line)

    def _by_word(self, start: int, line: int) -> None:
        """A line that begins with a word: a command, a submenu, a menu without its slash, or neither."""
        scan = self._scan
        if scan.text.startswith("..", start):
            self._said_to(self._menu, line)
            return
        word = _WORD.match(scan.text, start)
        if word is None:
            self._listed(start, line)
            return
        # In a menu, `set` is its command; elsewhere it sets a variable.
        script = COLONLESS.get(word[0]) if word[0] != "set" or not self._menu.path else None
        if script and script.match(scan.text, start):
            self._script(start, line, colon=False)
        elif self._menu.path and self._menu.resolve(word[0]) is not None:
            self._said_to(self._menu, line, slash=False)
        else:
            self._said_to(ROOT, line, slash=False)

    def _listed(self, start: int, line: int) -> None:
        """A command behind the mark of a list, as web pages have them: `1) /ip route add …`."""
        scan = self._scan
        mark = LIST_MARK.match(scan.text, start)
        if mark is None:
            raise NotAMenuError
        scan.pos = mark.end()
        if scan.text.startswith("/", scan.pos):
            scan.pos += 1
            self._said_to(ROOT, line, slash=False)
        else:
            word = _WORD.match(scan.text, scan.pos)
            here = word is not None and self._menu.path and self._menu.resolve(word[0]) is not None
            self._said_to(self._menu if here else ROOT, line, slash=False)
        self._list_mark = self._list_mark or Origin(self._notes.file, line, mark[mark.lastgroup or 0])

    def _joined(self, start: int, line: int) -> bool:
        """Read a line as the rest of the command above whose backslash got lost, as it does on web pages."""
        if not self.statements or self.statements[-1].last_line != line - 1:
            return False
        self._scan.pos = start
        whole = with_rest(self.statements[-1], self._scan, self._arguments, in_group=bool(self._groups))
        if whole is None:
            return False
        self.statements[-1] = whole
        what = "this line is read as the rest of the command above; put a \\ at the end of the line before"
        self._notes.warning("lost-backslash", Origin(self._notes.file, line, whole.origin.item), what)
        return True

    def _lost_part(self, start: int, line: int) -> MalformedError | None:
        """What is wrong with a line that is no command, where it is a part of one."""
        above = self.statements[-1] if self.statements else None
        behind = above is not None and above.kind is Kind.COMMAND and above.last_line == line
        raw = self._scan.text[start : end_of_command(self._scan.text, start)]
        return self._lost.problem(raw, self._menu, behind=behind)

    def _said_to(self, base: Menu, line: int, *, slash: bool = True) -> None:
        """A path from `base`, with or without a command behind it; without `slash` it may be a sentence as well."""
        scan = self._scan
        target = self._paths.read(base, line, slash=slash)
        menu = target.menu
        if target.command:
            self._command(menu, target.command, line, sure=slash or bool(menu.path), with_menu=slash)
            return
        if not self._arguments.at_end(in_group=bool(self._groups)):
            if not slash:
                raise NotAMenuError
            raise MalformedError(f"after {menu_text(menu.path)} comes neither a menu nor a command of it")
        if not slash and len(menu.path) < 2:
            raise NotAMenuError
        self._menu = menu
        self._lost.go_on()
        statement = Statement(Kind.MENU, menu.path, last_line=scan.line, origin=self._origin(line, menu))
        self._keep(statement, understood=menu.known and bool(menu.path))

    def _command(self, menu: Menu, command: str, line: int, *, sure: bool = True, with_menu: bool = False) -> None:
        certain = bool(menu.path) and (with_menu or _PROPERTY_NEXT.match(self._scan.text, self._scan.pos) is not None)
        try:
            given = self._arguments.read(menu, command, in_group=bool(self._groups))
            if not menu.path and command in ("add", "set", "remove", "enable", "disable"):
                self._refuse_without_menu(command, given)
            if not sure:
                raise NotAMenuError
            refuse_prose(menu, command, given, certain=certain)
        except MalformedError:
            self.refused += certain and menu.known
            raise
        self._lost.go_on(menu if command == "print" else None)
        statement = Statement(
            Kind.COMMAND,
            menu.path,
            command,
            tuple(given.named),
            tuple(given.flags),
            tuple(given.unset),
            tuple(given.positional),
            last_line=self._scan.line,
            origin=self._origin(line, menu, command),
        )
        self._keep(statement, understood=menu.known)

    def _refuse_without_menu(self, command: str, given: Arguments) -> None:
        if not given.named:
            raise NotAMenuError
        self.refused += is_of_routeros(command, given)
        self._lost.menu_is_missing()
        what = f"{command} stands before any menu; put a line such as /ip firewall mangle above it"
        raise MalformedError(what, "no-menu")

    # --- the scripting language ----------------------------------------------------------------------------------

    def _script(self, start: int, line: int, *, colon: bool) -> None:
        scan = self._scan
        word = _WORD.match(scan.text, scan.pos)
        if word is None or word[0] not in SCRIPT_WORDS:
            raise NotAMenuError
        scan.pos = word.end()
        given = self._arguments.read(ROOT, "", in_group=bool(self._groups), script=True)
        if not colon and word[0] in ("local", "global", "set") and len(given.positional) > 2:
            raise NotAMenuError
        blocks = [a.value for a in given.named if a.name in ("do", "else", "on-error", "command")]
        blocks += given.positional if word[0] == "do" else []
        body: list[Statement] = []
        for block in blocks:
            if isinstance(block, Code) and block.text.startswith("{"):
                body += self._block(block)
        statement = Statement(
            Kind.SCRIPT,
            self._menu.path,
            word[0],
            tuple(given.named),
            positional=tuple(given.positional),
            body=tuple(body),
            text=scan.text[start : scan.pos],
            last_line=scan.line,
            origin=Origin(self._notes.file, line, f":{word[0]}"),
        )
        self._keep(statement)

    def _block(self, block: Code) -> list[Statement]:
        if self._depth >= MAX_DEPTH:
            where = Origin(self._notes.file, block.line, "{")
            what = f"blocks are nested more than {MAX_DEPTH} deep; what is in this one is not read. Write it flatter"
            self._notes.error("too-deep", where, what)
            return []
        scanner = Scanner(block.text[1:-1], block.line, self._scan.budget, same_line=self._scan.same_line)
        inner = Parser(scanner, self._notes, self._menu, self._depth + 1)
        inner.run()
        return inner.statements

    def _call(self, start: int, line: int) -> None:
        if not _VARIABLE_NAME.match(self._scan.text, start + 1):
            raise NotAMenuError
        given = self._arguments.read(ROOT, "", in_group=bool(self._groups), script=True)
        self._loose(start, line, given)

    def _bracketed(self, start: int, line: int) -> None:
        scan = self._scan
        prompt = _PROMPT.match(scan.text, start)
        if prompt:
            self._prompt(prompt, line)
            return
        if not scan.text[start + 1 : start + 80].lstrip().startswith(("/", ":")):
            raise NotAMenuError
        given = self._arguments.read(ROOT, "", in_group=bool(self._groups), script=True)
        self._loose(start, line, given)

    def _loose(self, start: int, line: int, given: Arguments) -> None:
        scan = self._scan
        statement = Statement(
            Kind.SCRIPT,
            self._menu.path,
            "",
            tuple(given.named),
            positional=tuple(given.positional),
            text=scan.text[start : scan.pos],
            last_line=scan.line,
            origin=Origin(self._notes.file, line, "script"),
        )
        self._keep(statement, understood=False)

    def _prompt(self, prompt: re.Match[str], line: int) -> None:
        """A prompt that was copied together with the command: it says in which menu that was."""
        menu = menu_at(tuple(prompt[1].replace("/", " ").split()))
        if menu is None:
            raise NotAMenuError
        self._menu = menu
        self._scan.pos = prompt.end()
        origin = Origin(self._notes.file, line, "prompt")
        self._keep(Statement(Kind.MENU, menu.path, text=prompt[0], last_line=line, origin=origin), understood=False)

    # --- the rest ------------------------------------------------------------------------------------------------

    def _comment(self, start: int, line: int) -> None:
        scan = self._scan
        found = _COMMENT.match(scan.text, start)
        assert found is not None
        scan.pos = found.end()
        scan.down(found[0].count("\n"))
        origin = Origin(self._notes.file, line, "#")
        self._keep(Statement(Kind.COMMENT, text=found[0], last_line=scan.line, origin=origin), understood=False)

    def _group(self, sign: str, start: int, line: int) -> None:
        """`{` keeps the menu in mind that `}` goes back to."""
        if sign == "{":
            if len(self._groups) >= MAX_DEPTH:
                raise MalformedError(f"groups are nested more than {MAX_DEPTH} deep; write them flatter")
            self._groups.append((self._menu, line))
        elif self._groups:
            self._menu = self._groups.pop()[0]
        else:
            raise MalformedError("this } closes nothing; take it out")
        self._scan.pos = start + 1
        origin = Origin(self._notes.file, line, sign)
        self._keep(Statement(Kind.GROUP, self._menu.path, text=sign, last_line=line, origin=origin), understood=False)

    def _unknown(self, start: int, line: int, problem: MalformedError | None) -> None:
        """Keep what can't be read, to the end of its line, and go on behind that."""
        scan = self._scan
        end = end_of_command(scan.text, max(start, min(scan.pos, len(scan.text))))
        raw = scan.text[start:end]
        shown = " ".join(raw[: 2 * _SHOWN].split())
        shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
        where = Origin(self._notes.file, line, shown)
        if problem is None:
            what = f'"{shown}" is not a command of RouterOS; take the line out, or put # in front of it'
            self._notes.warning("not-a-command", where, what)
        else:
            self._notes.error(problem.code, where, f'"{shown}" can\'t be read: {problem}')
        scan.pos = end
        if not scan.same_line:
            scan.line = line + raw.count("\n")
        menu = self._menu.path
        self._keep(Statement(Kind.UNKNOWN, menu, text=raw, last_line=scan.line, origin=where), understood=False)

    def _keep(self, statement: Statement, *, understood: bool = True) -> None:
        self.statements.append(statement)
        self.understood += understood

    def _origin(self, line: int, menu: Menu, command: str = "") -> Origin:
        key = (menu.path, command)
        item = self._items.get(key)
        if item is None:
            item = self._items[key] = f"{menu_text(menu.path)} {command}".rstrip()
        return Origin(self._notes.file, line, item)
