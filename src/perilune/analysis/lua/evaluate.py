"""Evaluates the part of a program that is pure computation: decoders, string building, dispatch by computed names.

This is no execution: there is nothing to reach. Functions of the library are the pure ones of `library`; every other
call is recorded and gives UNKNOWN. Conditions on something unknown take both sides, loops on it run once, and a count
of steps ends everything. So what is found is what the program computes from its own constants.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from perilune.analysis.lua import callbacks, operators, tree
from perilune.analysis.lua.compute import LOOPS_WITH_CALLS, Compute
from perilune.analysis.lua.machine import Closure, Env, Exhausted, LuaError, Signal
from perilune.analysis.lua.names import GLOBALS
from perilune.analysis.lua.values import UNKNOWN, LuaTable, Ref, Value, is_unknown


class Evaluate(Compute):
    def start(self, body: tree.Block) -> None:
        """Runs the chunk as far as the steps go. Whatever happens, what was found stays."""
        try:
            self.block_in(body, self.env)
        except (LuaError, RecursionError):
            pass
        except Exhausted:
            self.exhausted = True

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
        bounds = [callbacks.number_of(self.value(bound)) for bound in one.bounds]
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
        rounds = callbacks.iterate(self, values)
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


_STATEMENTS: dict[type, Callable[[Evaluate, Any], Signal]] = {
    tree.LocalVariables: Evaluate.do_locals, tree.Assignment: Evaluate.do_assign, tree.LocalFunction: Evaluate.do_local_function,
    tree.Statement: Evaluate.do_statement, tree.Do: Evaluate.do_do, tree.While: Evaluate.do_while, tree.Repeat: Evaluate.do_repeat,
    tree.If: Evaluate.do_if, tree.NumericFor: Evaluate.do_numeric_for, tree.GenericFor: Evaluate.do_generic_for,
    tree.Return: Evaluate.do_return, tree.Jump: Evaluate.do_jump, tree.Label: Evaluate.do_label,
}  # fmt: skip
