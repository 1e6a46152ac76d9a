"""The values of Sigma placeholders (`User|expand: "%admins%"`), given as the `vars` of a Sigma processing pipeline.

    vars:
      admins: [alice, "svc-*"]

https://sigmahq-pysigma.readthedocs.io/en/latest/Processing_Pipelines.html
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import orjson

from perilune.errors import RuleError

MAX_VALUES = 10_000  # of one placeholder; Sigma's own lists of accounts and hosts have tens
MAX_FILLED = 20_000  # that one value becomes, its placeholders combined
_NAME = re.compile(r"(?<!\\)%(\w+)%")
_FILLS = frozenset({"value_placeholders"})  # what pySigma calls that which is done here


def is_pipeline(document: Mapping[str, object]) -> bool:
    """Whether a document of a rule file gives placeholders their values and is no rule."""
    return "vars" in document and "detection" not in document


@dataclass(slots=True)
class Placeholders:
    """What is known of placeholders, by name, and which of it one rule used."""

    values: dict[str, tuple[str, ...]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    def learn(self, pipeline: Mapping[str, object]) -> None:
        """Takes the `vars` of a processing pipeline. Raises RuleError for what is not applied here."""
        steps = pipeline.get("transformations") or []
        kinds = [step.get("type") if isinstance(step, Mapping) else step for step in _listed(steps)]
        if other := [str(kind) for kind in kinds if kind not in _FILLS]:
            raise RuleError(f"of a processing pipeline only `vars` are used, not {', '.join(other)}")
        given = pipeline.get("vars")
        if not isinstance(given, Mapping):
            raise RuleError("its `vars` are not a mapping of names to values")
        self.values.update({str(name): _values(str(name), value) for name, value in given.items()})

    def fill(self, definition: object) -> object:
        """A detection's definition with the values of its placeholders; those without stay as they are."""
        if isinstance(definition, Mapping):
            return dict(self._field(str(key), value) for key, value in definition.items())
        if isinstance(definition, list):
            return [self.fill(one) for one in definition]
        return definition

    def digest(self) -> str:
        """Of the values that were used; empty when none was."""
        used = {name: self.values[name] for name in sorted(self.used)}
        return hashlib.sha256(orjson.dumps(used)).hexdigest() if used else ""

    def _field(self, key: str, value: object) -> tuple[str, object]:
        _, *modifiers = key.split("|")
        if "expand" not in modifiers:
            return key, value
        filled = [one for item in _listed(value) for one in self._filled(item)]
        return key, filled if len(filled) != 1 else filled[0]

    def _filled(self, value: object) -> Iterator[object]:
        """The values that one becomes, every combination of its placeholders' values."""
        found = _NAME.search(value) if isinstance(value, str) else None
        if found is None or not isinstance(value, str):
            yield value
            return
        waiting, count = [""], 1
        for at, part in enumerate(_NAME.split(value)):
            options = (part,) if at % 2 == 0 else self._of(part)
            count *= len(options)
            if count > MAX_FILLED:
                raise RuleError(f"the placeholders of one value make more than {MAX_FILLED:,} values")
            waiting = [before + option for before in waiting for option in options]
        yield from waiting

    def _of(self, name: str) -> tuple[str, ...]:
        known = self.values.get(name)
        if known is None:
            return (f"%{name}%",)
        self.used.add(name)
        return known


def _values(name: str, given: object) -> tuple[str, ...]:
    found = tuple(str(one) for one in _listed(given) if isinstance(one, str | int | float))
    if len(found) != len(_listed(given)) or not found:
        raise RuleError(f"the values of %{name}% are a text, a number, or a list of them")
    if len(found) > MAX_VALUES:
        raise RuleError(f"%{name}% has more than {MAX_VALUES:,} values")
    return found


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]
