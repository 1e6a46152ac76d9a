"""A lab's user is nobody, has nobody's rights, reaches nobody, and is gone afterwards."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from perilune.errors import SensorError
from perilune.service.validation import lab as labs
from perilune.service.validation.lab import open_lab, processes_of

pytestmark = pytest.mark.needs_root


def test_a_command_runs_as_a_user_that_nobody_is_in_a_session_of_its_own() -> None:
    with open_lab() as lab:
        home = lab.home("one")
        first = lab.run(
            "id -u; id -g; pwd; cat /proc/self/loginuid; echo; cat /proc/self/sessionid", home, executor="sh"
        )
        second = lab.run("exit 3", home, executor="bash")
    user = str(lab.user)
    assert first.output.split() == [user, user, str(home), user, str(first.session)]
    assert first.code == 0
    assert second.code == 3
    assert second.session != first.session


def test_a_command_can_gain_no_rights_and_reach_no_network() -> None:
    with open_lab() as lab:
        home = lab.home("one")
        rights = lab.run(
            "grep -E '^(NoNewPrivs|CapEff|Groups)' /proc/self/status; ls /sys/class/net", home, executor="sh"
        )
        outside = lab.run("exec 3<>/dev/tcp/192.0.2.1/80", home, executor="bash")
    assert "NoNewPrivs:\t1" in rights.output
    assert "CapEff:\t0000000000000000" in rights.output
    assert "nreachable" in outside.output


def test_one_that_asks_for_root_is_root() -> None:
    with open_lab() as lab:
        assert lab.run("id -u", lab.home("one"), executor="sh", root=True).output == "0\n"


def test_the_text_of_a_command_stands_in_no_command_line() -> None:
    with open_lab() as lab:
        ran = lab.run("tr '\\0' ' ' < /proc/$$/cmdline # secret-word", lab.home("one"), executor="sh")
    assert ran.output.startswith("/bin/sh -c ")
    assert "secret-word" not in ran.output


def test_one_that_takes_too_long_is_ended_with_all_it_started() -> None:
    with open_lab() as lab:
        begun = time.monotonic()
        ran = lab.run("setsid sleep 300 & (trap '' TERM; sleep 300)", lab.home("one"), executor="sh", timeout=1)
        assert ran.code is None
        assert time.monotonic() - begun < 20
        assert not processes_of({ran.session})


def test_what_runs_on_in_the_background_is_named_and_ended() -> None:
    with open_lab() as lab:
        ran = lab.run("setsid sleep 301 >/dev/null 2>&1 & sleep 0.5", lab.home("one"), executor="sh")
        assert lab.end({ran.session}) == ["sleep 301"]
        assert lab.end({ran.session}) == []


def test_output_is_kept_to_its_last_part() -> None:
    with open_lab() as lab:
        ran = lab.run(
            "i=0; while [ $i -lt 4000 ]; do i=$((i+1)); echo 0123456789; done; echo end", lab.home("one"), executor="sh"
        )
    assert len(ran.output) == labs.MAX_OUTPUT
    assert ran.output.endswith("end\n")


def test_a_lab_leaves_no_folder_and_two_do_not_share_one() -> None:
    with open_lab() as one, open_lab() as two:
        assert one.user != two.user
        folders = [one.folder, two.folder]
        assert all(folder.stat().st_uid == 0 for folder in folders)
    assert not any(folder.exists() for folder in folders)


def test_what_a_killed_run_left_is_taken_over() -> None:
    with open_lab() as lab:
        folder = lab.folder
    (folder / "old").mkdir(parents=True)
    (folder / "command").write_text("x")
    with open_lab() as again:
        if again.folder == folder:  # unless another run took it meanwhile
            assert list(folder.iterdir()) == []
    assert not folder.exists() or again.folder != folder


def test_a_link_in_the_folders_place_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labs, "PLACES", (tmp_path,))
    target = tmp_path / "target"
    target.mkdir()
    (target / "precious").write_text("x")
    (tmp_path / f"lab-{labs.FIRST}").symlink_to(target)
    with open_lab() as lab:
        assert lab.user == labs.FIRST + 1
    assert (target / "precious").exists()


def test_only_root_may_open_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SensorError, match="run as root"), open_lab():
        pass
