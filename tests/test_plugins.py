from importlib.metadata import EntryPoint

import pytest

from perilune import plugins


class Good:
    name, looks_for = "good", "goodness"

    def recognises(self, head: bytes) -> bool:
        return False

    def read(self, stream: object, limits: object) -> list[object]:
        return []


class Half:
    name = "half"


def test_a_broken_plugin_is_named_and_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    here = "tests.test_plugins"
    entries = [
        EntryPoint("absent", "no_such_module:Reader", plugins.READERS),
        EntryPoint("good", f"{here}:Good", plugins.READERS),
        EntryPoint("half", f"{here}:Half", plugins.READERS),
    ]
    monkeypatch.setattr(plugins, "entry_points", lambda group: entries)
    found = plugins.find()
    assert [reader.name for reader in found.readers] == ["good"]
    assert len(found.broken) == 2
    assert "no_such_module" in found.broken[0]
    assert "recognises" in found.broken[1]
