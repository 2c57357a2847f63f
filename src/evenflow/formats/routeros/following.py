"""Following a script that stands in a string: what its variables hold, and which items its commands are about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenflow.formats.routeros.expressions import Environment, expand
from evenflow.formats.routeros.statement import FindExpression, Kind

if TYPE_CHECKING:
    from evenflow.formats.routeros.items import Item, Items
    from evenflow.formats.routeros.statement import MenuPath, Statement, Value
    from evenflow.formats.routeros.variables import Known, Variables

#: Commands that change items.
CHANGES = frozenset(("add", "set", "remove", "enable", "disable", "unset", "move"))


class Follower:
    """The variables of one script, over the items of the file."""

    def __init__(self, items: Items, variables: Variables) -> None:
        """`variables`: what the script is given."""
        self.variables = variables
        self._items = items

    def assign(self, statement: Statement) -> None:
        """Take a statement of the language into account: `:foreach` over a find, `:local`, `:global`, `:set`."""
        name = statement.positional[0] if statement.positional else None
        if statement.command == "foreach" and isinstance(name, str):
            value = statement.get("in")
            if isinstance(value, FindExpression):
                self.variables[name] = value
            return
        if statement.command in ("local", "global", "set") and isinstance(name, str):
            self._assign(statement, name)

    def _assign(self, statement: Statement, name: str) -> None:
        """Keep the value if it is known; else forget the variable."""
        if len(statement.positional) == 1:
            if statement.command == "local":
                self.variables.pop(name, None)
            return
        known = self._known_value(statement.positional[1]) if len(statement.positional) == 2 else None
        if known is None:
            self.variables.pop(name, None)
        else:
            self.variables[name] = known

    def _known_value(self, value: Value) -> Known | None:
        return expand(value, Environment(self.variables, self._items))

    def items_of(self, statement: Statement, menu: MenuPath) -> list[Item]:
        """The items of `menu` that a command is about.

        Raises:
            UnselectableError: what it selects by can't be followed.
        """
        numbers = statement.get("numbers")
        selectors = [numbers] if numbers is not None else list(statement.positional)
        chosen = [item for selector in selectors for item in self._select(menu, selector)]
        return list(dict.fromkeys(chosen))

    def literal(self, value: Value) -> Value:
        """The value with the variables put in, as far as they are known."""
        known = self._known_value(value)
        return known if isinstance(known, str | FindExpression) else value

    def _select(self, menu: MenuPath, selector: Value) -> list[Item]:
        value = self._known_value(selector)
        if isinstance(value, FindExpression):
            value = self._known(value)
        return self._items.selected(menu, selector if value is None else value)

    def _known(self, expression: FindExpression) -> FindExpression:
        """The expression with the script's own variables put in."""
        if expression.alternatives is None:
            return expression
        alternatives = tuple(
            tuple(type(term)(term.name, term.operator, self.literal(term.value)) for term in terms)
            for terms in expression.alternatives
        )
        return FindExpression(expression.menu, alternatives, expression.text, expression.line)


def changes_items(statement: Statement) -> bool:
    """Whether it is a command that changes items of its menu."""
    return statement.kind is Kind.COMMAND and statement.command in CHANGES
