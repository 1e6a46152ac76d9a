"""What is true of any rule tree: its constants, and the same truth in fewer nodes."""

from __future__ import annotations

from perilune.model.rules import And, Expr, Not, Or

TRUE, FALSE = And(()), Or(())


def simplified(expr: Expr) -> Expr:
    """The same truth with fewer nodes: no constants inside, no And in And or Or in Or, nothing twice."""
    match expr:
        case And(of=parts):
            return _joined(And, FALSE, parts)
        case Or(of=parts):
            return _joined(Or, TRUE, parts)
        case Not(of=inner):
            return _negated(simplified(inner))
        case _:
            return expr


def _joined(kind: type[And] | type[Or], settles: Expr, parts: tuple[Expr, ...]) -> Expr:
    found: dict[Expr, None] = {}
    for part in map(simplified, parts):
        if part == settles:
            return settles
        found.update(dict.fromkeys(part.of if isinstance(part, kind) else (part,)))
    return next(iter(found)) if len(found) == 1 else kind(tuple(found))


def _negated(expr: Expr) -> Expr:
    if expr == TRUE:
        return FALSE
    if expr == FALSE:
        return TRUE
    return expr.of if isinstance(expr, Not) else Not(expr)
