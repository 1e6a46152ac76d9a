"""One Sigma detection, as pySigma parsed it, becomes a tree over the columns of one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionNOT,
    ConditionOR,
    ConditionValueExpression,
)
from sigma.types import (
    CompareOperators,
    Placeholder,
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaRegularExpressionFlag,
    SigmaString,
    SigmaTimestampPart,
    SigmaType,
    SpecialChars,
)

from perilune.detection import rewrites
from perilune.detection.fields import columns
from perilune.detection.logsources import Source, together
from perilune.detection.trees import FALSE, TRUE, simplified
from perilune.detection.values import regex
from perilune.errors import RuleError
from perilune.model.rules import (
    And,
    Boolean,
    Cidr,
    Compare,
    Exists,
    Expr,
    Field,
    FieldMatch,
    Keyword,
    Not,
    Null,
    Number,
    Or,
    Regex,
    SameRow,
    Scope,
    Text,
    TimePart,
    Wildcard,
)

MAX_PIECES = 100  # of one value: literals and wildcards; SigmaHQ's richest has 13
MAX_COMPARISONS = 8_000  # of one rule, its expansions counted; SigmaHQ's largest has 2,400

_SPECIAL = {SpecialChars.WILDCARD_MULTI: Wildcard.MANY, SpecialChars.WILDCARD_SINGLE: Wildcard.ONE}
_FLAGS = {
    SigmaRegularExpressionFlag.IGNORECASE: "i",
    SigmaRegularExpressionFlag.MULTILINE: "m",
    SigmaRegularExpressionFlag.DOTALL: "s",
}
_COMPARE = {operator: Compare[operator.name] for operator in CompareOperators}
# The record types and the system calls that a row of one execve stands for.
_EXECVE: Mapping[str, frozenset[str]] = {
    "type": frozenset({"execve", "syscall"}),
    "SYSCALL": frozenset({"execve", "execveat"}),
    "syscall": frozenset({"execve", "execveat", "59", "322"}),
    "success": frozenset({"yes"}),
}

# Sysmon says of each address whether it is IPv6; our tables have the address.
_IPV6 = {"SourceIsIpv6": "LocalIP", "DestinationIsIpv6": "RemoteIP"}

Condition = object  # pySigma's node classes share no usable base


class FieldError(RuleError):
    """A comparison that cannot be made; `field` tells the caller where in the file to point."""

    def __init__(self, what: str, field: str) -> None:
        super().__init__(what)
        self.field = field


def scope(condition: Condition, source: Source) -> Scope | None:
    """The condition over the rows of one source; None where it cannot hold on any of them."""
    detection = simplified(_Translator(source).expr(condition))
    if detection == FALSE:
        return None
    return Scope(source.table, simplified(together(source.where, detection)))


class _Translator:
    """Walks one condition. It counts comparisons, so that a rule cannot grow without bound."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._comparisons = 0

    def expr(self, node: Condition) -> Expr:
        match node:
            case ConditionAND(args=args):
                return And(tuple(self.expr(arg) for arg in args))
            case ConditionOR(args=args):
                return Or(tuple(self.expr(arg) for arg in args))
            case ConditionNOT(args=[arg]):
                return Not(self.expr(arg))
            case ConditionFieldEqualsValueExpression(field=name, value=value):
                return self._field(name, value)
            case ConditionValueExpression(value=value):
                return self._keyword(value)
        raise RuleError(f"the condition has a part that is not understood: {type(node).__name__}")

    def _field(self, name: str, value: SigmaType) -> Expr:
        self._count()
        if isinstance(value, SigmaExpansion):
            return Or(tuple(self._field(name, each) for each in value.values))
        if self._source.vocabulary == "auditd_execve" and name in _EXECVE:
            return _constant(name, value)
        if self._source.vocabulary == "network" and name in _IPV6:
            return _is_ipv6(Field(name, _IPV6[name]), value)
        try:
            fields = columns(name, self._source.vocabulary, self._source.table)
            return _over(fields, value, self._column)
        except FieldError:
            raise
        except RuleError as error:
            if self._source.optional and "no column" in error.what:
                return TRUE if isinstance(value, SigmaNull) else FALSE
            raise FieldError(error.what, name) from None

    def _column(self, name: str) -> tuple[Field, ...]:
        return columns(name, self._source.vocabulary, self._source.table)

    def _keyword(self, value: SigmaType) -> Expr:
        self._count()
        match value:
            case SigmaExpansion(values=values):
                return Or(tuple(self._keyword(each) for each in values))
            case SigmaString():
                parts = _parts(value)
                before = () if parts[:1] == (Wildcard.MANY,) else (Wildcard.MANY,)
                after = () if parts[-1:] == (Wildcard.MANY,) else (Wildcard.MANY,)
                return Keyword((*before, *parts, *after), cased=isinstance(value, SigmaCasedString))
            case SigmaRegularExpression():
                return Keyword(pattern=_pattern(value), flags=_flags(value))
            case SigmaNumber() | SigmaBool():
                return Keyword((Wildcard.MANY, str(value).lower(), Wildcard.MANY))
        raise RuleError(f"a keyword cannot be {_kind(value)}")

    def _count(self) -> None:
        self._comparisons += 1
        if self._comparisons > MAX_COMPARISONS:
            raise RuleError(f"more than {MAX_COMPARISONS:,} comparisons")


def _over(fields: tuple[Field, ...], value: SigmaType, column: Callable[[str], tuple[Field, ...]]) -> Expr:
    """One comparison over the columns that may hold the field."""
    tests = tuple(_test(field, value, column) for field in fields)
    if len(tests) == 1:
        return tests[0]
    return And(tests) if isinstance(value, SigmaNull) else Or(tests)


def _test(field: Field, value: SigmaType, column: Callable[[str], tuple[Field, ...]]) -> Expr:
    match value:
        case SigmaNull():
            return Null(field)
        case SigmaExists():
            return Exists(field) if value.exists else Null(field)
        case SigmaString():
            return rewrites.spellings(Text(field, _parts(value), isinstance(value, SigmaCasedString)))
        case SigmaTimestampPart():
            return _time_part(field, value, Compare.EQ)
        case SigmaCompareExpression(number=SigmaTimestampPart() as number, op=operator):
            return _time_part(field, number, _COMPARE[operator])
        case SigmaCompareExpression(number=number, op=operator):
            return Number(field, _COMPARE[operator], number.number)
        case SigmaNumber():
            return Number(field, Compare.EQ, value.number)
        case SigmaBool():
            return Boolean(field, value.boolean)
        case SigmaRegularExpression():
            return Regex(field, _pattern(value), _flags(value))
        case SigmaCIDRExpression():
            return Cidr(field, str(value.network))
        case SigmaFieldReference():
            return _same_row(field, value, column)
    raise RuleError(f"the field cannot be compared with {_kind(value)}")


def _time_part(field: Field, value: SigmaTimestampPart, operator: Compare) -> TimePart:
    return TimePart(field, value.timestamp_part.name.lower(), operator, value.number)


def _same_row(field: Field, value: SigmaFieldReference, column: Callable[[str], tuple[Field, ...]]) -> Expr:
    how = {
        (False, False): FieldMatch.EQUALS,
        (True, True): FieldMatch.CONTAINS,
        (True, False): FieldMatch.STARTSWITH,
        (False, True): FieldMatch.ENDSWITH,
    }[value.starts_with, value.ends_with]
    return Or(tuple(SameRow(field, other, how) for other in column(value.field)))


def _parts(value: SigmaString) -> tuple[str | Wildcard, ...]:
    if len(value.s) > MAX_PIECES:
        raise RuleError(f"a value has more than {MAX_PIECES} wildcards and literals")
    found: list[str | Wildcard] = []
    for part in value.s:
        if isinstance(part, Placeholder):
            raise RuleError(f"the placeholder %{part.name}% has no value")
        if isinstance(part, SpecialChars):
            if not (found and found[-1] is Wildcard.MANY and part is SpecialChars.WILDCARD_MULTI):
                found.append(_SPECIAL[part])
        elif found and isinstance(found[-1], str):
            found[-1] += part
        else:
            found.append(part)
    return tuple(found)


def _pattern(value: SigmaRegularExpression) -> str:
    for part in value.regexp.s:
        if isinstance(part, Placeholder):
            raise RuleError(f"the placeholder %{part.name}% has no value")
    pattern = str(value.regexp)
    regex(pattern, _flags(value))  # refuses what cannot run
    return pattern


def _flags(value: SigmaRegularExpression) -> str:
    return "".join(sorted(_FLAGS[flag] for flag in value.flags))


def _constant(name: str, value: SigmaType) -> Expr:
    return TRUE if str(value).lower() in _EXECVE[name] else FALSE


def _is_ipv6(field: Field, value: SigmaType) -> Expr:
    has_colon = Text(field, (Wildcard.MANY, ":", Wildcard.MANY))
    match str(value).lower():
        case "true":
            return has_colon
        case "false":
            return And((Exists(field), Not(has_colon)))
    raise FieldError(f"{field.name} is true or false", field.name)


def _kind(value: SigmaType) -> str:
    return type(value).__name__.removeprefix("Sigma")
