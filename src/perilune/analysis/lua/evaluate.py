"""Evaluates the part of a program that is pure computation: decoders, string building, dispatch by computed names.

This is no execution: there is nothing to reach. Functions of the library are the pure ones of `library`; every other
call is recorded and gives UNKNOWN. Conditions on something unknown take both sides, loops on it run once, and a count
of steps ends everything. So what is found is what the program computes from its own constants.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from perilune.analysis.lua import builtins, operators, tree
from perilune.analysis.lua.apis import Apis
from perilune.analysis.lua.library import PURE, STRING_METHODS, call_pure
from perilune.analysis.lua.names import GLOBALS, of_index, of_require
from perilune.analysis.lua.scan import Scan
from perilune.analysis.lua.values import UNKNOWN, LuaTable, Ref, Value, is_unknown, tags_of
from perilune.model.lua import Literal

MOST_STEPS = 1_200_000
MOST_CALLS_DEEP = 60
MOST_STRINGS = 400
LEAST_STRING = 4
LOOPS_WITH_CALLS = 3  # rounds of a loop that calls APIs: the next ones would tell nothing new


class Exhausted(Exception):
    """The steps are used up. Never leaves this module."""


class LuaError(Exception):
    """`error(…)` of the program. Never leaves this module."""


@dataclass(slots=True, eq=False)
class Env:
    names: dict[str, Value]
    parent: Env | None = None
    varargs: list[Value] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Closure:
    node: tree.Function
    env: Env
    quiet: bool = False  # of a chunk that is analysed on its own


_BY_CHARACTER = frozenset(("string.gsub", "string.gmatch", "string.find", "string.match"))
_WHOLE_TABLE = frozenset(("table.concat", "table.unpack", "unpack", "pairs", "ipairs", "next"))

Signal = str | list[Value] | None  # `break`, `continue`, the values of a return, or nothing


class Evaluate(Scan):
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

    def start(self, body: tree.Block) -> None:
        """Runs the chunk as far as the steps go. Whatever happens, what was found stays."""
        try:
            self.block_in(body, self.env)
        except (LuaError, RecursionError):
            pass
        except Exhausted:
            self.exhausted = True

    # Statements

    def block_in(self, body: tree.Block, env: Env) -> Signal:
        outer, self.env = self.env, env
        try:
            for one in body.statements:
                self.steps -= 1
                if self.steps < 0:
                    raise Exhausted
                signal = _STATEMENTS[type(one)](self, one)
                if signal is not None:
                    return signal
        finally:
            self.env = outer
        return None

    def inner(self, body: tree.Block, names: dict[str, Value] | None = None) -> Signal:
        return self.block_in(body, Env(names if names is not None else {}, self.env, self.env.varargs))

    def maybe_block(self, body: tree.Block, names: dict[str, Value] | None = None) -> None:
        """A branch that may not be taken: its errors, breaks and returns do not count."""
        self.maybe += 1
        try:
            self.inner(body, names)
        except LuaError:
            pass
        finally:
            self.maybe -= 1

    def do_locals(self, one: tree.LocalVariables) -> Signal:
        values = self.many(one.values, len(one.names))
        self.env.names.update(zip(one.names, values, strict=True))
        return None

    def do_assign(self, one: tree.Assignment) -> Signal:
        values = self.many(one.values, len(one.targets))
        for target, value in zip(one.targets, values, strict=True):
            if one.operator:
                value = operators.binary(one.operator, self.value(target), value)
            self.assign(target, value)
        return None

    def assign(self, target: tree.Expr, value: Value) -> None:
        if isinstance(target, tree.Name):
            env: Env | None = self.env
            while env is not None and target.name not in env.names:
                env = env.parent
            (env.names if env is not None else self.globals)[target.name] = value
        elif isinstance(target, tree.Suffixed) and isinstance(target.parts[-1], tree.Index):
            base = self.through(target.base, target.parts[:-1], target.start)
            key = self.value(target.parts[-1].key)
            if isinstance(base, LuaTable):
                if is_unknown(key):
                    base.open = True
                elif key is not None and key == key:
                    base.set(key, value)
            elif isinstance(base, Ref) and base.path in GLOBALS and isinstance(key, str):
                self.globals[key] = value

    def do_local_function(self, one: tree.LocalFunction) -> Signal:
        self.env.names[one.name] = None
        self.env.names[one.name] = Closure(one.function, self.env, self.quiet > 0)
        return None

    def do_statement(self, one: tree.Statement) -> Signal:
        self.value(one.value)
        return None

    def do_do(self, one: tree.Do) -> Signal:
        return self.inner(one.body)

    def do_if(self, one: tree.If) -> Signal:
        unsure = False
        for condition, body in one.clauses:
            value = self.value(condition)
            if is_unknown(value) or isinstance(value, Ref):
                self.maybe_block(body)
                unsure = True
            elif value is not None and value is not False:
                if unsure:
                    self.maybe_block(body)
                    return None
                return self.inner(body)
        if one.otherwise is None:
            return None
        if unsure:
            self.maybe_block(one.otherwise)
            return None
        return self.inner(one.otherwise)

    def do_while(self, one: tree.While) -> Signal:
        rounds = 0
        while True:
            value = self.value(one.condition)
            if value is None or value is False:
                return None
            if is_unknown(value) or isinstance(value, Ref):
                self.maybe_block(one.body)
                return None
            before = len(self.found.calls)
            signal = self.inner(one.body)
            if signal == "break":
                return None
            if isinstance(signal, list):
                return signal
            rounds += len(self.found.calls) > before
            if rounds >= LOOPS_WITH_CALLS:
                return None

    def do_repeat(self, one: tree.Repeat) -> Signal:
        rounds = 0
        while True:
            env = Env({}, self.env, self.env.varargs)
            before = len(self.found.calls)
            signal = self.block_in(one.body, env)
            if signal == "break":
                return None
            if isinstance(signal, list):
                return signal
            outer, self.env = self.env, env
            value = self.value(one.condition)
            self.env = outer
            rounds += len(self.found.calls) > before
            if (value is not None and value is not False) or rounds >= LOOPS_WITH_CALLS:
                return None

    def do_numeric_for(self, one: tree.NumericFor) -> Signal:
        bounds = [builtins.number_of(self.value(bound)) for bound in one.bounds]
        if len(bounds) < 2 or any(bound is None for bound in bounds):
            self.maybe_block(one.body, {one.name: UNKNOWN})
            return None
        at, last = bounds[0], bounds[1]
        step = bounds[2] if len(bounds) > 2 else 1
        rounds = 0
        while step and at is not None and last is not None and (at <= last if step > 0 else at >= last):
            before = len(self.found.calls)
            signal = self.inner(one.body, {one.name: at})
            if signal == "break":
                return None
            if isinstance(signal, list):
                return signal
            rounds += len(self.found.calls) > before
            if rounds > 50:
                return None
            at += step
        return None

    def do_generic_for(self, one: tree.GenericFor) -> Signal:
        values = self.many(one.values, 3)
        rounds = builtins.iterate(self, values)
        if rounds is None:
            item = operators.tainted(*values)
            self.maybe_block(one.body, dict.fromkeys(one.names, item))
            return None
        for row in rounds:
            names = dict.fromkeys(one.names, None) | dict(zip(one.names, row, strict=False))
            signal = self.inner(one.body, names)
            if signal == "break":
                return None
            if isinstance(signal, list):
                return signal
        return None

    def do_return(self, one: tree.Return) -> Signal:
        return self.many(one.values, -1)

    def do_jump(self, one: tree.Jump) -> Signal:
        return one.word if one.word != "goto" else "continue"

    def do_label(self, one: tree.Label) -> Signal:
        return None

    # Expressions

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
        special = builtins.SPECIAL.get(base.path)
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


_STATEMENTS: dict[type, Callable[[Evaluate, Any], Signal]] = {
    tree.LocalVariables: Evaluate.do_locals, tree.Assignment: Evaluate.do_assign, tree.LocalFunction: Evaluate.do_local_function,
    tree.Statement: Evaluate.do_statement, tree.Do: Evaluate.do_do, tree.While: Evaluate.do_while, tree.Repeat: Evaluate.do_repeat,
    tree.If: Evaluate.do_if, tree.NumericFor: Evaluate.do_numeric_for, tree.GenericFor: Evaluate.do_generic_for,
    tree.Return: Evaluate.do_return, tree.Jump: Evaluate.do_jump, tree.Label: Evaluate.do_label,
}  # fmt: skip
_EXPRESSIONS: dict[type, Callable[[Evaluate, Any], Value]] = {
    tree.Name: Scan._named, tree.String: Evaluate.a_string, tree.Number: Scan._number, tree.Word: Evaluate.a_word,
    tree.Function: Evaluate.a_function, tree.Table: Evaluate.a_table, tree.Chain: Evaluate.a_chain, tree.Unary: Scan._unary,
    tree.Suffixed: Evaluate.a_suffixed, tree.Choice: Scan._choice,
}  # fmt: skip
