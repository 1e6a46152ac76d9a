"""An action has a check, a reach and, unless it says why not, an inverse, before anything implements it."""

import pytest

from perilune.model.actions import Kind, TargetType
from perilune.response.kinds import KINDS, openc2


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_says_what_it_means(kind: Kind) -> None:
    row = KINDS[kind]
    assert row.targets
    assert row.check
    assert row.reach
    assert (row.inverse is None) == bool(row.note)
    assert 1 <= row.most <= row.hourly


@pytest.mark.parametrize("kind", [kind for kind in Kind if KINDS[kind].inverse])
def test_an_inverse_is_undone_by_what_it_undoes_and_has_the_same_targets(kind: Kind) -> None:
    inverse = KINDS[kind].inverse
    assert inverse is not None
    assert KINDS[inverse].inverse is kind
    assert KINDS[inverse].targets == KINDS[kind].targets


def test_what_harms_somebody_is_never_automatic_by_default() -> None:
    automatic = {kind for kind, row in KINDS.items() if row.approvers == 0}
    assert automatic == {Kind.COLLECT_EVIDENCE, Kind.NOTIFY}
    assert KINDS[Kind.DELETE_FILE].approvers == 2


def test_openc2_words_follow_the_target() -> None:
    assert openc2(Kind.BLOCK_INDICATOR, TargetType.DOMAIN) == "deny domain_name"
    assert openc2(Kind.BLOCK_INDICATOR, TargetType.ADDRESS) == "deny ipv4_net"
    assert openc2(Kind.ISOLATE_HOST, TargetType.HOST) == "contain device"
    assert openc2(Kind.CLOSE_CASE, TargetType.CASE) == ""
