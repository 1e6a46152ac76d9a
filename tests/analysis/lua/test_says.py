"""A capability as a sentence: with the value found, the name of a function, or the admission that nothing is known."""

from __future__ import annotations

import pytest

from perilune.analysis import lua


@pytest.mark.parametrize(
    ("code", "capability", "sentence"),
    [
        ("os.execute('id')", "process", 'starts "id"'),
        ("io.popen(x, 'r')", "process", "starts something that is computed or comes from outside"),
        ("os.execute(x) os.execute('id')", "process", 'starts "id"'),
        ("require('socket').tcp():connect('192.0.2.1', 80)", "network", 'talks to "192.0.2.1"'),
    ],
)
def test_sentences(code: str, capability: str, sentence: str) -> None:
    found = {one.id: one.says for one in lua.analyze(code.encode()).capabilities}
    assert found[capability] == sentence
