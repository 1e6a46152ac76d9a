"""Rules and rows that are awkward on purpose."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson
from hypothesis import strategies as st

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
    Level,
    Not,
    Null,
    Number,
    Or,
    Regex,
    Rule,
    SameRow,
    Scope,
    Text,
    TimePart,
    Wildcard,
)

TABLE = "DeviceProcessEvents"
# Letters that fold to others, letters that seem to, what is special to Sigma, SQL, JSON and expressions, and zero.
LETTERS = (
    "abkKsSiI\\*?%_. \"'{[-/\u212a\u017f\u0130\u0131\u03a3\u03c3\u03c2\u00df\u1e9e\u00e9\u0410\u0430\U0001f600\0\n"
)
TEXTS = ("ProcessCommandLine", "FolderPath", "XUser", "InitiatingProcessCommandLine")

words = st.text(st.sampled_from(LETTERS), min_size=1, max_size=3)
values = st.one_of(
    st.none(),
    st.just(""),
    st.text(st.sampled_from(LETTERS), max_size=8),
    st.lists(words, max_size=5).map("".join),
    st.sampled_from(["true", "False", "7", "0x3e7", "10.0.0.1", "::ffff:10.0.0.1", "2026-02-03 04:05:06"]),
    st.builds(lambda word, times: word * times, words, st.integers(500, 3000)),
)
parts = st.lists(st.one_of(words, st.sampled_from(Wildcard)), max_size=5).map(
    lambda found: tuple(part for at, part in enumerate(found) if at == 0 or not _same_kind(part, found[at - 1]))
)
text_fields = st.one_of(
    st.sampled_from(TEXTS).map(lambda name: Field(name, name)),
    st.sampled_from(["a", "b"]).map(lambda key: Field(key, "AdditionalFields", key)),
    st.sampled_from(["0", "1"]).map(lambda key: Field(key, "XArguments", key)),
)
any_fields = st.one_of(
    text_fields,
    st.sampled_from(["LogonId", "ProcessId", "IsProcessRemoteSession", "Timestamp"]).map(lambda n: Field(n, n)),
)
numbers = st.sampled_from([0, 1, 7, 999, -1, 1.5])
EXPRESSIONS = (
    "a",
    "(?i)ks",
    "^a.*b$",
    "[kK]a?",
    "a|b",
    "(ab)+",
    "s\\b",
    "\\\\",
    ".",
    "^$",
    "a{2,}",
    "k.s",
    "\\w",
    "[^a]",
)


def _same_kind(one: str | Wildcard, other: str | Wildcard) -> bool:
    return isinstance(one, str) == isinstance(other, str) and not (one is Wildcard.ONE or other is Wildcard.ONE)


leaves = st.one_of(
    st.builds(Text, any_fields, parts, st.booleans()),
    st.builds(lambda field, word: Text(field, (Wildcard.MANY, word, Wildcard.MANY)), text_fields, words),
    st.builds(lambda field, word: Text(field, (Wildcard.MANY, word)), text_fields, words),
    st.builds(lambda field, word: Text(field, (word, Wildcard.MANY)), text_fields, words),
    st.builds(Regex, text_fields, st.sampled_from(EXPRESSIONS), st.sampled_from(["", "i", "s", "m"])),
    st.builds(Number, any_fields, st.sampled_from(Compare), numbers),
    st.builds(Boolean, any_fields, st.booleans()),
    st.builds(Null, any_fields),
    st.builds(Exists, any_fields),
    st.builds(Cidr, text_fields, st.sampled_from(["10.0.0.0/8", "::/0"])),
    st.builds(SameRow, text_fields, any_fields, st.sampled_from(FieldMatch), st.booleans()),
    st.builds(TimePart, any_fields, st.sampled_from(["hour", "week", "year"]), st.sampled_from(Compare), numbers),
    st.builds(lambda p, cased: Keyword((Wildcard.MANY, *p, Wildcard.MANY), cased=cased), words.map(lambda w: (w,)),
              st.booleans()),
    st.builds(lambda pattern: Keyword(pattern=pattern), st.sampled_from(EXPRESSIONS)),
)  # fmt: skip


def _joined(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    several = st.lists(inner, max_size=4).map(tuple)
    return st.one_of(st.builds(And, several), st.builds(Or, several), st.builds(Not, inner))


exprs: st.SearchStrategy[Expr] = st.recursive(leaves, _joined, max_leaves=10)
rules = st.builds(
    lambda found: Rule("x", "x", Level.LOW, tuple(Scope(TABLE, expr) for expr in found), "x", ""),
    st.lists(exprs, min_size=1, max_size=2),
)
inner_values = st.one_of(values, st.integers(-9, 9), st.booleans(), st.lists(values, max_size=2))
documents = st.one_of(
    st.sampled_from([None, "[]", "{}", "", "{not json"]),
    st.dictionaries(st.sampled_from(["a", "b", "c"]), inner_values).map(lambda found: orjson.dumps(found).decode()),
)
times = st.one_of(st.none(), st.datetimes(datetime(1999, 12, 28), datetime(2030, 1, 4), timezones=st.just(UTC)))
rows = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(TEXTS, values)
    | {
        "AdditionalFields": documents,
        "XArguments": st.one_of(st.none(), st.lists(values, max_size=3)),
        "LogonId": st.sampled_from([None, 0, 1, 7, 999]),
        "ProcessId": st.sampled_from([None, 0, 1, 7, 999]),
        "IsProcessRemoteSession": st.sampled_from([None, True, False]),
        "Timestamp": times,
    },
)
