"""One walk over a tree: calls of known APIs with aliases resolved, strings with constants folded, where data goes.

Every expression is visited once and yields what is known of its value. Nothing is run: a function's body is walked
where it is written, loops once, both sides of a branch. What needs more than that is left to `evaluate`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from perilune.analysis.lua import operators, tree
from perilune.analysis.lua.apis import Apis
from perilune.analysis.lua.library import PURE, STRING_METHODS, call_pure
from perilune.analysis.lua.names import GLOBALS, PASS_THROUGH, of_index, of_require
from perilune.analysis.lua.recording import Recording, Scanned
from perilune.analysis.lua.values import (
    FIXED,
    KEPT,
    NO_TAGS,
    UNKNOWN,
    FunctionValue,
    LuaTable,
    Ref,
    Tainted,
    Value,
    is_unknown,
    tags_of,
)
from perilune.model.lua import Literal

MOST_TABLE = 20_000
_SEVERAL = (tree.Suffixed, tree.Word)  # what may give more than one value


@dataclass(slots=True)
class _Scope:
    names: dict[str, Value]
    level: int  # of loops, branches and functions; what is assigned at a deeper one is not certain


class Scan(Recording):
    def __init__(self, text: str, layer: int, apis: Apis) -> None:
        super().__init__(text, layer, apis)
        self.globals: dict[str, Value] = {}
        self.scopes: list[_Scope] = []
        self.level = 0
        self.returned: list[list[Value]] = []
        self.results: dict[int, Value] = {}

    def run(self, body: tree.Block) -> Scanned:
        self.returned.append([])
        self.block(body)
        return self.found

    # Statements

    def block(self, body: tree.Block, names: dict[str, Value] | None = None) -> None:
        self.scopes.append(_Scope(names if names is not None else {}, self.level))
        for one in body.statements:
            _STATEMENTS[type(one)](self, one)
        self.scopes.pop()

    def _deeper(self, body: tree.Block, names: dict[str, Value] | None = None) -> None:
        self.level += 1
        self.block(body, names)
        self.level -= 1

    def _locals(self, one: tree.LocalVariables) -> None:
        values = self._values(one.values, len(one.names))
        scope = self.scopes[-1].names
        for name, value in zip(one.names, values, strict=True):
            scope[name] = value

    def _values(self, expressions: list[tree.Expr], wanted: int) -> list[Value]:
        values = [_EXPRESSIONS[type(one)](self, one) for one in expressions]
        if len(values) < wanted:
            last = values[-1] if values else None
            rest = Tainted(tags_of(last)) if tags_of(last) else UNKNOWN
            several = bool(expressions) and isinstance(expressions[-1], _SEVERAL)
            values += [rest if several else None] * (wanted - len(values))
        return values[:wanted]

    def _assign(self, one: tree.Assignment) -> None:
        if len(one.values) == 1 and isinstance(one.values[0], tree.Function) and isinstance(one.targets[0], tree.Name):
            self._set_name(one.targets[0].name, FunctionValue(one.values[0]))
        values = self._values(one.values, len(one.targets))
        for target, value in zip(one.targets, values, strict=True):
            if isinstance(target, tree.Name):
                if one.operator:
                    value = operators.binary(one.operator, self._name(target.name), value)
                self._set_name(target.name, value)
            else:
                self._set_field(target, value)

    def _set_name(self, name: str, value: Value) -> None:
        for scope in reversed(self.scopes):
            if name in scope.names:
                certain = scope.level == self.level or isinstance(value, FIXED)
                scope.names[name] = value if certain else operators.tainted(value, scope.names[name])
                return
        if self.level and not isinstance(value, KEPT):
            value = operators.tainted(value)
        self.globals[name] = value

    def _set_field(self, target: tree.Expr, value: Value) -> None:
        if not isinstance(target, tree.Suffixed) or not isinstance(target.parts[-1], tree.Index):
            self.value(target)
            return
        last = target.parts[-1]
        base = self._suffixed(tree.Suffixed(target.base, target.parts[:-1], target.start, last.end))
        key = self.value(last.key)
        if isinstance(base, LuaTable):
            if is_unknown(key) or (self.level and not isinstance(value, FIXED)):
                base.open = True
            elif key is not None and base.length < MOST_TABLE:
                base.set(key, value)
        elif isinstance(base, Ref) and base.path in GLOBALS and isinstance(key, str):
            self.globals[key] = value

    def _local_function(self, one: tree.LocalFunction) -> None:
        self.scopes[-1].names[one.name] = FunctionValue(one.function)
        self.value(one.function)

    def _statement(self, one: tree.Statement) -> None:
        self.value(one.value)

    def _do(self, one: tree.Do) -> None:
        self.block(one.body)

    def _while(self, one: tree.While) -> None:
        self.value(one.condition)
        self._deeper(one.body)

    def _repeat(self, one: tree.Repeat) -> None:
        self._deeper(one.body)
        self.value(one.condition)

    def _if(self, one: tree.If) -> None:
        for condition, body in one.clauses:
            self.value(condition)
            self._deeper(body)
        if one.otherwise is not None:
            self._deeper(one.otherwise)

    def _numeric_for(self, one: tree.NumericFor) -> None:
        for bound in one.bounds:
            self.value(bound)
        self._deeper(one.body, {one.name: UNKNOWN})

    def _generic_for(self, one: tree.GenericFor) -> None:
        values = [self.value(value) for value in one.values]
        tags = frozenset().union(*(tags_of(value) for value in values)) if values else frozenset()
        item: Value = Tainted(tags) if tags else UNKNOWN
        self._deeper(one.body, dict.fromkeys(one.names, item))

    def _return(self, one: tree.Return) -> None:
        for n, value in enumerate(one.values):
            found = self.value(value)
            if n == 0 and self.returned:
                self.returned[-1].append(found)

    def _nothing(self, one: tree.Jump | tree.Label) -> None:
        pass

    # Expressions

    def value(self, one: tree.Expr) -> Value:
        """Visits an expression, once, and gives what is known of its value."""
        return _EXPRESSIONS[type(one)](self, one)

    def _name(self, name: str) -> Value:
        for scope in reversed(self.scopes):
            if name in scope.names:
                return scope.names[name]
        return self.globals[name] if name in self.globals else Ref(name)

    def _named(self, one: tree.Name) -> Value:
        return self._name(one.name)

    def _string(self, one: tree.String) -> Value:
        if len(one.value) > 2:
            self.found.literals.append(Literal(one.value, self.layer, one.start, one.end))
        return one.value

    def _number(self, one: tree.Number) -> Value:
        return UNKNOWN if one.value is None else one.value

    def _word(self, one: tree.Word) -> Value:
        return {"nil": None, "true": True, "false": False}.get(one.word, UNKNOWN)

    def _function(self, one: tree.Function) -> Value:
        return self.walk_function(one, frozenset())

    def walk_function(self, one: tree.Function, tags: frozenset[str]) -> Value:
        """A function's body; `tags` is where its parameters' data is from."""
        given: Value = Tainted(tags) if tags else UNKNOWN
        outer, self.function = self.function, one.name or self.function
        self.returned.append([])
        self._deeper(one.body, dict.fromkeys(one.parameters, given))
        results = self.returned.pop()
        self.function = outer
        known = {id(value): value for value in results if value is not None}
        if len(known) == 1:
            self.results[id(one)] = next(iter(known.values()))
        else:
            self.results[id(one)] = operators.tainted(*results) if results else None
        return FunctionValue(one, tags)

    def _table(self, one: tree.Table) -> Value:
        table = LuaTable()
        at = 0
        for key, item in one.items:
            name: Value
            if key is None:
                at += 1
                name = at
            else:
                name = self.value(key)
            value = self.value(item)
            if is_unknown(name) or name is None or at > MOST_TABLE:
                table.open = True
            else:
                table.set(name, value)
        if one.items and one.items[-1][0] is None and isinstance(one.items[-1][1], _SEVERAL):
            table.open = True  # a call or `...` in the last place may give more
        return table

    def _chain(self, one: tree.Chain) -> Value:
        operator = one.rest[0][0]
        if operator in ("and", "or"):
            return self._logic(one)
        values = [self.value(one.first)]
        if operator == "..":
            values += [self.value(part) for _, part in one.rest]
            return self._folded(operators.concatenated(values), one.start, one.end)
        value = values[0]
        for sign, part in one.rest:
            value = operators.binary(sign, value, self.value(part))
        return value

    def _logic(self, one: tree.Chain) -> Value:
        value = self.value(one.first)
        for sign, part in one.rest:
            other = self.value(part)
            if sign == "or":
                # An API that may be missing stands before the one that is taken then: the first known one counts.
                value = (
                    other
                    if value is None or value is False or (is_unknown(value) and isinstance(other, Ref))
                    else value
                )
            elif value is not None and value is not False:
                value = other
        return value

    def _unary(self, one: tree.Unary) -> Value:
        value = self.value(one.operand)
        for sign in reversed(one.operators):
            value = operators.unary(sign, value)
        return value

    def _choice(self, one: tree.Choice) -> Value:
        for condition, value in one.clauses:
            self.value(condition)
            self.value(value)
        return operators.tainted(self.value(one.otherwise))

    def _suffixed(self, one: tree.Suffixed) -> Value:
        value = self.value(one.base)
        for part in one.parts:
            value = self._indexed(value, part) if isinstance(part, tree.Index) else self._called(value, part, one.start)
        return value

    def _indexed(self, base: Value, part: tree.Index) -> Value:
        key_node = part.key
        key = key_node.value if isinstance(key_node, tree.String) else self.value(key_node)
        if isinstance(base, LuaTable):
            return UNKNOWN if is_unknown(key) else base.get(key)
        if not isinstance(base, Ref):
            return Tainted(tags_of(base)) if tags_of(base) else UNKNOWN
        if not isinstance(key, str):
            self.found.indexed += base.path in GLOBALS and is_unknown(key)
            return Tainted(base.tags) if base.tags else UNKNOWN
        if base.path in GLOBALS and key in self.globals:
            return self.globals[key]
        hidden = base.hidden or self._is_hidden(key_node, key)
        return Ref(of_index(base.path, key), hidden, base.tags)

    def _is_hidden(self, node: tree.Expr, key: str) -> bool:
        """Whether a key is written so that a search for it finds nothing."""
        if isinstance(node, tree.String):
            return key not in self.text[node.start : node.end]
        return not isinstance(node, tree.Name) or key not in self.text

    # Calls

    def _called(self, base: Value, part: tree.Call, start: int) -> Value:
        receiver: list[Value] = []
        if part.method:
            receiver = [] if isinstance(base, Ref) else [base]
            base = self._method(base, part.method)
        gives = self.apis.gives(base.name) if isinstance(base, Ref) else NO_TAGS
        arguments = [self._argument(one, gives) for one in part.arguments]
        if receiver:
            arguments = receiver + arguments
        return self.call(base, arguments, start, part.end)

    def _method(self, base: Value, name: str) -> Value:
        if isinstance(base, str) and name in STRING_METHODS:
            return Ref(f"string.{name}")
        if isinstance(base, LuaTable):
            return base.get(name)
        if isinstance(base, Ref):
            return Ref(f"{base.path}:{name}", base.hidden, base.tags)
        return operators.tainted(base)

    def _argument(self, one: tree.Expr, gives: frozenset[str]) -> Value:
        if isinstance(one, tree.Function):
            return self.walk_function(one, gives)
        value = self.value(one)
        if gives and isinstance(value, FunctionValue) and isinstance(value.node, tree.Function) and not value.tags:
            return self.walk_function(value.node, gives)
        return value

    def call(self, base: Value, arguments: list[Value], start: int, end: int) -> Value:
        """One call: recorded where the name means something, evaluated where it is pure and all is known."""
        if isinstance(base, FunctionValue):
            return self._own(base, arguments)
        if not isinstance(base, Ref):
            return operators.tainted(base, *arguments)
        name = base.name
        if name in PASS_THROUGH:
            return self._passed(name, arguments, start, end)
        if base.path in PURE and (results := call_pure(base.path, arguments)) is not None:
            value = results[0] if results else None
            return self._folded(value, start, end)
        if name == "require":
            self.record(base, arguments, start, end)
            return of_require(arguments[0] if arguments else UNKNOWN)
        if self.apis.of(name) and not base.path.endswith("()"):
            self.record(base, arguments, start, end)
        return self.result(base, arguments)

    def _own(self, base: FunctionValue, arguments: list[Value]) -> Value:
        result = self.results.get(id(base.node), UNKNOWN)
        if isinstance(result, KEPT):
            return result
        return operators.tainted(result, *arguments)

    def _passed(self, name: str, arguments: list[Value], start: int, end: int) -> Value:
        """Functions that call, or give back, what they are given."""
        if not arguments:
            return UNKNOWN
        first = arguments[0]
        if name == "setmetatable" and len(arguments) > 1 and isinstance(arguments[1], LuaTable):
            # Fields that a function makes up are for evaluation.
            self.found.indexed += isinstance(arguments[1].get("__index"), FunctionValue)
        if name in ("pcall", "xpcall", "coroutine.wrap", "task.spawn", "spawn"):
            given = arguments[2:] if name == "xpcall" else arguments[1:]
            return self.call(first, given, start, end) if isinstance(first, Ref) else operators.tainted(*arguments)
        if name == "rawget":
            key = arguments[1] if len(arguments) > 1 else UNKNOWN
            return (
                Ref(of_index(first.path, key), first.hidden)
                if isinstance(first, Ref) and isinstance(key, str)
                else UNKNOWN
            )
        return first


_STATEMENTS: dict[type, Callable[[Scan, Any], None]] = {
    tree.LocalVariables: Scan._locals, tree.Assignment: Scan._assign, tree.LocalFunction: Scan._local_function,
    tree.Statement: Scan._statement, tree.Do: Scan._do, tree.While: Scan._while, tree.Repeat: Scan._repeat, tree.If: Scan._if,
    tree.NumericFor: Scan._numeric_for, tree.GenericFor: Scan._generic_for, tree.Return: Scan._return,
    tree.Jump: Scan._nothing, tree.Label: Scan._nothing,
}  # fmt: skip
_EXPRESSIONS: dict[type, Callable[[Scan, Any], Value]] = {
    tree.Name: Scan._named, tree.String: Scan._string, tree.Number: Scan._number, tree.Word: Scan._word,
    tree.Function: Scan._function, tree.Table: Scan._table, tree.Chain: Scan._chain, tree.Unary: Scan._unary,
    tree.Suffixed: Scan._suffixed, tree.Choice: Scan._choice,
}  # fmt: skip
