"""The fast matcher is right because it always says what the slow one says."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perilune.detection import matcher, memory, narrow
from perilune.detection.plan import join
from perilune.detection.shape import shape
from perilune.model.rules import Rule
from perilune.model.tables import Table
from tests.detection import strategies
from tests.detection.engines import Row, by_matcher, by_oracle, table

EXAMPLES = 250
RULES, ROWS = 4, 30  # 30,000 cases of a rule on a row

generated = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))


@generated
@given(st.lists(strategies.rules, min_size=RULES, max_size=RULES), st.lists(strategies.rows, min_size=1, max_size=ROWS))
def test_generated_rules_on_generated_rows(rules: list[Rule], rows: list[Row]) -> None:
    batch = table(strategies.TABLE, rows)
    assert by_matcher(rules, batch) == by_oracle(rules, batch)


@generated
@given(st.lists(strategies.rules, min_size=RULES, max_size=RULES), st.lists(strategies.rows, min_size=1, max_size=ROWS))
def test_the_path_of_large_batches(rules: list[Rule], rows: list[Row]) -> None:
    batch = table(strategies.TABLE, rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(narrow, "MAX_ROWS", 0)
        assert by_matcher(rules, batch) == by_oracle(rules, batch)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(strategies.rules, min_size=RULES, max_size=RULES),
    st.lists(strategies.rows, min_size=1, max_size=ROWS),
    st.integers(1, 7),
)
def test_any_cut_into_batches_gives_the_same(rules: list[Rule], rows: list[Row], size: int) -> None:
    batch = table(strategies.TABLE, rows)
    whole = by_matcher(rules, batch)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matcher, "MAX_ROWS", size)
        assert by_matcher(rules, batch) == whole
    parts = [Table(batch.name, batch.data.slice(start, size)) for start in range(0, len(batch), size)]
    moved = {(rule, row + at * size) for at, part in enumerate(parts) for rule, row in by_matcher(rules, part)}
    assert moved == whole


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(strategies.rules, min_size=RULES, max_size=RULES), st.lists(strategies.rows, min_size=1, max_size=ROWS))
def test_dictionary_encoded_and_chunked_columns_give_the_same(rules: list[Rule], rows: list[Row]) -> None:
    batch = table(strategies.TABLE, rows)
    encoded = [
        column.dictionary_encode() if pa.types.is_string(column.type) else column for column in batch.data.columns
    ]
    whole = pa.table(encoded, names=batch.data.column_names)
    chunked = pa.concat_tables([whole.slice(0, 1), whole.slice(1)])
    assert by_matcher(rules, Table(batch.name, chunked)) == by_matcher(rules, batch)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(strategies.rules, min_size=RULES, max_size=RULES),
    st.lists(strategies.rows, min_size=2, max_size=ROWS),
    st.lists(st.lists(st.integers(0, ROWS), min_size=1, max_size=9), min_size=3, max_size=6),
    st.sampled_from([200, 1_000_000]),
    st.booleans(),
)
def test_what_is_remembered_changes_nothing(
    rules: list[Rule], rows: list[Row], batches: list[list[int]], most: int, large: bool
) -> None:
    plan = join([shape(rule) for rule in rules])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "LEAST_BYTES", 0)
        patch.setattr(memory, "MOST_BYTES", most)  # the smaller forgets all now and then
        patch.setattr(narrow, "MAX_ROWS", 0 if large else narrow.MAX_ROWS)
        for batch in batches:
            some = table(strategies.TABLE, [rows[at % len(rows)] for at in batch])
            found, where = matcher.match(plan, some)
            assert set(zip(found.tolist(), where.tolist(), strict=True)) == by_oracle(rules, some)


PARTS = 6  # so that all processors share what the oracle takes minutes for


@pytest.mark.slow
def test_sigmahq_on_the_attack_samples(sigmahq: Sequence[Rule], attack_samples: list[Table]) -> None:
    """Every rule on one row in eleven, another one for each table; on all rows with PERILUNE_ALL_ROWS=1."""
    by_table: dict[str, list[Rule]] = defaultdict(list)
    for rule in sigmahq:
        for name in {scope.table for scope in rule.scopes}:
            by_table[name].append(rule)
    assert attack_samples
    step = 1 if os.environ.get("PERILUNE_ALL_ROWS") else 11
    for at, batch in enumerate(attack_samples):
        chosen = range(at % step, len(batch), step)
        rules = by_table[batch.name]
        found = {(rule, chosen.index(row)) for rule, row in by_matcher(rules, batch) if row in chosen}
        assert found == by_oracle(rules, Table(batch.name, batch.data.take(pa.array(chosen, pa.int64()))))
