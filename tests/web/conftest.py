from pathlib import Path

import pytest

from perilune.web.rooms import Rooms
from tests.browser import browser as browser  # a fixture
from tests.web.desk import make_rooms


@pytest.fixture
def rooms(tmp_path: Path) -> Rooms:
    return make_rooms(tmp_path)
