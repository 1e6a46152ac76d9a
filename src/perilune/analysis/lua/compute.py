"""The expressions and calls of an evaluation: values as far as they are known, calls recorded and never made."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from perilune.analysis.lua import callbacks, operators, tree
from perilune.analysis.lua.apis import Apis
from perilune.analysis.lua.library import PURE, STRING_METHODS, call_pure
from perilune.analysis.lua.machine import MOST_STEPS, Closure, Env, Exhausted, LuaError, Signal
from perilune.analysis.lua.names import GLOBALS, of_index, of_require
from perilune.analysis.lua.scan import Scan
from perilune.analysis.lua.values import UNKNOWN, LuaTable, Ref, Value, is_unknown, tags_of
from perilune.model.lua import Literal

MOST_CALLS_DEEP = 60
MOST_STRINGS = 400
LEAST_STRING = 4
LOOPS_WITH_CALLS = 3  # rounds of a loop that calls APIs: the next ones would tell nothing new
_BY_CHARACTER = frozenset(("string.gsub", "string.gmatch", "string.find", "string.match"))
_WHOLE_TABLE = frozenset(("table.concat", "table.unpack", "unpack", "pairs", "ipairs", "next"))


class Compute(Scan):
    """The part of the evaluator that reads values."""

    if TYPE_CHECKING:

        def block_in(self, body: tree.Block, env: Env) -> Signal: ...

    def __init__(self, text: str, layer: int, apis: Apis, steps: int = MOST_STEPS) -> None:
        super().__init__(text, layer, apis)
        self.steps = steps
        self.env = Env({})
        self.deep = 0
        self.quiet = 0
        self.maybe = 0  # inside how many branches that may not be taken
        self.strings: dict[str, None] = {}
        self.growing: dict[tuple[int, int], int] = {}
        self.exhausted = False

    def many(self, expressions: list[tree.Expr], wanted: int) -> list[Value]:
        """Values of a list; its last call gives all its results. `wanted` of -1 takes what comes."""
        if not expressions:
            return [None] * max(wanted, 0)
        values = [self.value(one) for one in expressions[:-1]]
        values += self.all_of(expressions[-1])
        if wanted < 0:
            return values
        return (values + [None] * (wanted - len(values)))[:wanted]

    def all_of(self, one: tree.Expr) -> list[Value]:
        if isinstance(one, tree.Suffixed) and isinstance(one.parts[-1], tree.Call):
            self.steps -= 1
            base = self.through(one.base, one.parts[:-1], one.start)
            return self.called_all(base, one.parts[-1], one.start)
        if isinstance(one, tree.Word) and one.word == "...":
            return list(self.env.varargs)
        return [self.value(one)]

    def value(self, one: tree.Expr) -> Value:
        self.steps -= 1
        if self.steps < 0:
            raise Exhausted
        return _EXPRESSIONS[type(one)](self, one)

    def _name(self, name: str) -> Value:
        env: Env | None = self.env
        while env is not None:
            if name in env.names:
                return env.names[name]
            env = env.parent
        return self.globals[name] if name in self.globals else Ref(name)

    def a_string(self, one: tree.String) -> Value:
        return one.value

    def a_word(self, one: tree.Word) -> Value:
        if one.word == "...":
            return self.env.varargs[0] if self.env.varargs else None
        return {"nil": None, "true": True, "false": False}.get(one.word, UNKNOWN)

    def a_function(self, one: tree.Function) -> Value:
        return Closure(one, self.env, self.quiet > 0)

    def a_table(self, one: tree.Table) -> Value:
        table = LuaTable()
        last = len(one.items) - 1
        for n, (key, item) in enumerate(one.items):
            if key is not None:
                name = self.value(key)
                value = self.value(item)
                if is_unknown(name):
                    table.open = True
                elif name is not None:
                    table.set(name, value)
            else:
                for value in self.all_of(item) if n == last else [self.value(item)]:
                    table.set(table.length + 1, value)
        return table

    def a_chain(self, one: tree.Chain) -> Value:
        if one.rest[0][0] not in ("and", "or"):
            value = self._chain(one)
            if isinstance(value, str):
                self.steps -= len(value) // 64
            return value
        value = self.value(one.first)
        for sign, part in one.rest:
            unsure = is_unknown(value)
            true = value is not None and value is not False
            if unsure or isinstance(value, Ref):
                # An API that is there counts as true; of something unknown the other side is as good.
                value = self.value(part) if unsure or sign == "and" else value
            elif true == (sign == "and"):
                value = self.value(part)
        return value

    def a_suffixed(self, one: tree.Suffixed) -> Value:
        return self.through(one.base, one.parts, one.start)

    def through(self, base: tree.Expr, parts: list[tree.Index | tree.Call], start: int) -> Value:
        value = self.value(base)
        for part in parts:
            if isinstance(part, tree.Index):
                value = self.indexed(value, part)
            else:
                results = self.called_all(value, part, start)
                value = results[0] if results else None
        return value

    def indexed(self, base: Value, part: tree.Index) -> Value:
        key = part.key.value if isinstance(part.key, tree.String) else self.value(part.key)
        found = self.field(base, key)
        if (
            isinstance(found, Ref)
            and isinstance(base, Ref)
            and not found.hidden
            and self._is_hidden(part.key, str(key))
        ):
            return Ref(found.path, True, found.tags)
        return found

    def field(self, base: Value, key: Value) -> Value:
        """`base[key]`, with metatables as far as `__index` goes."""
        for _ in range(8):
            if not isinstance(base, LuaTable):
                break
            found = UNKNOWN if is_unknown(key) else base.get(key)
            if found is not None or base.meta is None:
                return found
            handler = base.meta.get("__index")
            if isinstance(handler, Closure):
                results = self.invoke(handler, [base, key])
                return results[0] if results else None
            if handler is None:
                return None
            base = handler
        if isinstance(base, str) and isinstance(key, str) and (key in STRING_METHODS or key == "gmatch"):
            return Ref(f"string.{key}")
        if not isinstance(base, Ref) or not isinstance(key, str):
            return operators.tainted(base)
        if base.path in GLOBALS and key in self.globals:
            return self.globals[key]
        return Ref(of_index(base.path, key), base.hidden, base.tags)

    # Calls

    def called_all(self, base: Value, part: tree.Call, start: int) -> list[Value]:
        receiver: list[Value] = []
        if part.method:
            receiver = [] if isinstance(base, Ref) else [base]
            base = (
                Ref(f"{base.path}:{part.method}", base.hidden, base.tags)
                if isinstance(base, Ref)
                else self.field(base, part.method)
            )
        arguments = receiver + self.many(part.arguments, -1)
        return self.apply(base, arguments, start, part.end)

    def apply(self, base: Value, arguments: list[Value], start: int = 0, end: int = 0) -> list[Value]:
        if isinstance(base, Closure):
            return self.invoke(base, arguments)
        if isinstance(base, LuaTable) and base.meta is not None:
            return self.apply(base.meta.get("__call"), [base, *arguments], start, end)
        if not isinstance(base, Ref):
            self._call_back(arguments, frozenset())
            return [operators.tainted(base, *arguments)]
        self.pay(base.path, arguments)
        special = callbacks.SPECIAL.get(base.path)
        if special is not None:
            results = special(self, arguments, start, end)
            if results is not None:
                return results
        if base.path in PURE:
            found = call_pure(base.path, arguments)
            if found is not None:
                self.pay("", found)
                self._keep(found, start, end)
                return found
        return [self._api(base, arguments, start, end)]

    def pay(self, name: str, values: list[Value]) -> None:
        """Long strings and tables cost steps, or a few calls on them would take for ever."""
        per = 1 if name in _BY_CHARACTER else 64
        for value in values[:20]:
            if isinstance(value, str):
                self.steps -= len(value) // per
            elif isinstance(value, LuaTable) and name in _WHOLE_TABLE:
                self.steps -= value.length
        self.steps -= len(values) // 8
        if self.steps < 0:
            raise Exhausted

    def _api(self, base: Ref, arguments: list[Value], start: int, end: int) -> Value:
        """A call that reaches out of the program: recorded, never made."""
        name = base.name
        if self.apis.of(name) and not base.path.endswith("()") and not self.quiet:
            self.record(base, arguments, start, end)
        gives = self.apis.gives(name)
        self._call_back(arguments, gives)
        if name == "require":
            return of_require(arguments[0] if arguments else UNKNOWN)
        return self.result(base, arguments)

    def _call_back(self, arguments: list[Value], tags: frozenset[str]) -> None:
        """Functions that are given away will be called, with what is not known."""
        for one in arguments:
            if isinstance(one, Closure) and self.deep < 6:
                given = operators.tainted(Ref("", tags=tags))
                self.maybe += 1
                try:
                    self.invoke(one, [given] * max(1, len(one.node.parameters)))
                except LuaError:
                    pass
                finally:
                    self.maybe -= 1

    def invoke(self, closure: Closure, arguments: list[Value]) -> list[Value]:
        if self.deep >= MOST_CALLS_DEEP:
            return [UNKNOWN]
        node = closure.node
        count = len(node.parameters)
        names = dict(zip(node.parameters, arguments + [None] * (count - len(arguments)), strict=False))
        self.deep += 1
        self.quiet += closure.quiet
        try:
            signal = self.block_in(node.body, Env(names, closure.env, arguments[count:]))
        finally:
            self.deep -= 1
            self.quiet -= closure.quiet
        if isinstance(signal, list):
            return signal
        return [operators.tainted(*arguments)] if self.maybe and tags_of(operators.tainted(*arguments)) else []

    def call(self, base: Value, arguments: list[Value], start: int, end: int) -> Value:
        results = self.apply(base, arguments, start, end)
        return results[0] if results else None

    def _folded(self, value: Value, start: int, end: int) -> Value:
        self._keep([value], start, end)
        return value

    def _keep(self, values: list[Value], start: int, end: int) -> None:
        """Remembers the strings that the program builds."""
        if self.quiet:
            return
        for value in values[:2]:
            if isinstance(value, str) and len(value) >= LEAST_STRING and value not in self.strings:
                self._keep_one(value, start, end)

    def _keep_one(self, value: str, start: int, end: int) -> None:
        """Of a string that grows in a loop, only the last state is kept."""
        at = self.growing.get((start, end))
        literals = self.found.literals
        if at is not None and value.startswith(literals[at].text):
            literals[at] = Literal(value, self.layer, start, end, "evaluated")
        elif len(self.strings) < MOST_STRINGS:
            self.strings[value] = None
            self.growing[start, end] = len(literals)
            literals.append(Literal(value, self.layer, start, end, "evaluated"))

    def via(self, name: str, start: int) -> str:
        plain = super().via(name, start)
        return plain if plain == "plain" else "evaluated"


_EXPRESSIONS: dict[type, Callable[[Compute, Any], Value]] = {
    tree.Name: Scan._named, tree.String: Compute.a_string, tree.Number: Scan._number, tree.Word: Compute.a_word,
    tree.Function: Compute.a_function, tree.Table: Compute.a_table, tree.Chain: Compute.a_chain, tree.Unary: Scan._unary,
    tree.Suffixed: Compute.a_suffixed, tree.Choice: Scan._choice,
}  # fmt: skip
