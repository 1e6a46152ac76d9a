"""What a detection rule says, after its text has been parsed and its fields resolved to columns.

`Rule.scopes` pairs each table that the rule reads with a boolean tree over that table's columns. A tree is
made of `And`, `Or`, `Not` and leaves; every leaf names its Sigma field (for people) and its column (for us).
A leaf over a missing or null column is false (but `Null`), so its negation is true (Sigma 2.1, and
`docs/reference/sigma.md`). `And(())` is true and `Or(())` is false, as in arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum, StrEnum

from perilune.model.events import EventRef


class Level(IntEnum):
    """Sigma's severity, in its order."""

    INFORMATIONAL = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    @property
    def word(self) -> str:
        return self.name.lower()


class Wildcard(Enum):
    """The two special characters of a Sigma string: `?` is one code point, `*` any run, new lines included.

    No `StrEnum`: a wildcard must not be equal to the literal that looks like it.
    """

    ONE = "?"
    MANY = "*"


class Compare(StrEnum):
    EQ = "eq"
    NEQ = "neq"
    LT = "lt"
    LTE = "lte"
    GT = "gt"
    GTE = "gte"


class FieldMatch(StrEnum):
    """How a `fieldref` compares two columns of one row."""

    EQUALS = "equals"
    CONTAINS = "contains"
    STARTSWITH = "startswith"
    ENDSWITH = "endswith"


@dataclass(frozen=True, slots=True)
class Field:
    """A Sigma field and the column that holds it.

    `column` is a column of the scope's table. With `key`, the value is that key of the JSON object in the
    column (`AdditionalFields`), as text, or that item of a list column (`XArguments`, `key` "0" being the first).
    """

    name: str
    column: str
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """A string with wildcards, compared by code-point lower-casing unless `cased`.

    `parts` alternates literals and `Wildcard`s; `()` is the empty string. `contains` is `(MANY, lit, MANY)`.
    """

    field: Field
    parts: tuple[str | Wildcard, ...]
    cased: bool = False


@dataclass(frozen=True, slots=True)
class Regex:
    """A regular expression (RE2) searched in the original value. `flags` is a subset of "ims"."""

    field: Field
    pattern: str
    flags: str = ""


@dataclass(frozen=True, slots=True)
class Number:
    """A numeric comparison. A text column compares as the number it spells (decimal or 0x), else false."""

    field: Field
    op: Compare
    value: int | float


@dataclass(frozen=True, slots=True)
class Boolean:
    """Equality with true or false; a text column compares with "true"/"false" in any case."""

    field: Field
    value: bool


@dataclass(frozen=True, slots=True)
class Null:
    """The field is missing or null. An empty string is not null."""

    field: Field


@dataclass(frozen=True, slots=True)
class Exists:
    """The field is present and not null."""

    field: Field


@dataclass(frozen=True, slots=True)
class Cidr:
    """The address lies in the network (v4-mapped v6 addresses count as v4)."""

    field: Field
    network: str


@dataclass(frozen=True, slots=True)
class SameRow:
    """Two columns of the same row compared as text; both must be non-null."""

    field: Field
    other: Field
    how: FieldMatch = FieldMatch.EQUALS
    cased: bool = False


@dataclass(frozen=True, slots=True)
class TimePart:
    """A numeric comparison with one part of a time in UTC: minute, hour, day, week (ISO), month or year."""

    field: Field
    part: str
    op: Compare
    value: int | float


@dataclass(frozen=True, slots=True)
class Keyword:
    """A value without a field: it holds where any text of the row holds it.

    The texts of a row are its columns of paths, command lines, keys and scripts, and the values of the JSON object
    in `AdditionalFields`. Either `parts` (as in `Text`) or `pattern` (as in `Regex`) is given.
    """

    parts: tuple[str | Wildcard, ...] = ()
    pattern: str | None = None
    flags: str = ""
    cased: bool = False


Leaf = Text | Regex | Number | Boolean | Null | Exists | Cidr | SameRow | TimePart | Keyword


@dataclass(frozen=True, slots=True)
class And:
    of: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Or:
    of: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Not:
    of: Expr


Expr = And | Or | Not | Leaf


@dataclass(frozen=True, slots=True)
class Scope:
    """One table that a rule reads, and what must hold in a row of it (logsource conditions included)."""

    table: str
    expr: Expr


class Role(StrEnum):
    """What a match means: a sign of abuse, a legitimate use that lowers and explains, or part of a correlation."""

    DETECTION = "detection"
    CONTEXT = "context"
    PART = "part"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule ready to be matched. `source` is `file:line` or `pack:name`; `digest` is of its text.

    `compiled` is what the matcher made of it beforehand, for the matcher alone.
    """

    id: str
    title: str
    level: Level
    scopes: Sequence[Scope]
    source: str
    digest: str
    author: str = ""
    description: str = ""
    status: str = ""
    license: str = ""
    link: str = ""
    tags: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    falsepositives: tuple[str, ...] = ()
    role: Role = Role.DETECTION
    lowers: int = 0
    extra: Mapping[str, str] = field(default_factory=dict)
    compiled: object = field(default=None, compare=False, repr=False)

    @property
    def techniques(self) -> tuple[str, ...]:
        """ATT&CK technique ids, from tags such as `attack.t1059.011`."""
        found = (tag.split(".", 1)[1].upper() for tag in self.tags if tag.lower().startswith("attack.t"))
        return tuple(t for t in found if t[1:5].isdigit())


@dataclass(frozen=True, slots=True)
class Refusal:
    """A rule that cannot be evaluated, and why."""

    source: str
    title: str
    reason: str


@dataclass(frozen=True, slots=True)
class RuleSet:
    rules: tuple[Rule, ...]
    refused: tuple[Refusal, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """One leaf that held: the field, the value it held on, and the test in Sigma's words."""

    field: str
    column: str
    value: str
    test: str


@dataclass(frozen=True, slots=True)
class Match:
    """A rule that held on a row, with the leaves that made it hold."""

    rule: Rule
    event: EventRef
    evidence: tuple[Evidence, ...]
