"""Programs that start the program named in their arguments: where in them its command line stands."""

# ruff: noqa: E501 - a pattern or a table row broken in two is harder to read than a long one

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from perilune.analysis.words import Word


class Form(StrEnum):
    WORDS = "words"  # the remaining arguments are the command: `sudo -u x CMD ARG…`
    TEXT = "text"  # one argument is a command line of its own: `su -c 'CMD ARG'`, `schtasks /tr "CMD"`
    JOINED = "joined"  # the remaining arguments, joined by blanks, are one: `ssh host CMD ARG`


@dataclass(frozen=True, slots=True)
class Wrapper:
    """How a program names what it starts.

    options   options that take the next argument as their value
    after     plain arguments that come before the command: a duration, a host, a container
    flags     options whose value is the command
    words     sub-commands, one of which must come first: `docker exec`
    stops     arguments that end the command: `;` and `+` for find
    language  of a command given as text; `` for that of the shell around it
    """

    form: Form
    options: frozenset[str] = frozenset()
    after: int = 0
    flags: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()
    stops: frozenset[str] = frozenset()
    language: str = ""


@dataclass(frozen=True, slots=True)
class Started:
    """What a wrapper starts: its words, or (`form` TEXT, JOINED) the words whose text is a command line."""

    form: Form
    words: tuple[Word, ...]
    language: str = ""


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_CONTAINER = _set(
    "-e --env -u --user -w --workdir --env-file --detach-keys -v --volume --name -p --publish --network --entrypoint "
    "--mount -l --label --cap-add --device --security-opt --pid --ipc --uts --userns --hostname -h -m --memory --cpus "
    "--platform --restart --runtime --ulimit --tmpfs --add-host --dns --expose --link --cidfile --log-driver --gpus"
)
_KUBE = _set(
    "-n --namespace -c --container --context --kubeconfig --image --restart -f --filename --as --token -s --server"
)
_SSH = _set("-p -i -l -o -F -J -L -R -D -b -c -E -e -I -m -O -Q -S -W -w -P -pw -hostkey")

WRAPPERS: Mapping[str, Wrapper] = {
    "env": Wrapper(Form.WORDS, _set("-u --unset -C --chdir -S")),
    "nohup": Wrapper(Form.WORDS),
    "sudo": Wrapper(Form.WORDS, _set("-u --user -g --group -h --host -p --prompt -C -r -t -T -D -R -U")),
    "doas": Wrapper(Form.WORDS, _set("-u -C")),
    "pkexec": Wrapper(Form.WORDS, _set("--user")),
    "run0": Wrapper(Form.WORDS, _set("-u --user -p --property")),
    "setsid": Wrapper(Form.WORDS),
    "timeout": Wrapper(Form.WORDS, _set("-s --signal -k --kill-after"), after=1),
    "gtimeout": Wrapper(Form.WORDS, _set("-s --signal -k --kill-after"), after=1),
    "nice": Wrapper(Form.WORDS, _set("-n --adjustment")),
    "ionice": Wrapper(Form.WORDS, _set("-c -n -p --class --classdata")),
    "chrt": Wrapper(Form.WORDS, after=1),
    "taskset": Wrapper(Form.WORDS, _set("-c"), after=1),
    "stdbuf": Wrapper(Form.WORDS, _set("-i -o -e")),
    "unbuffer": Wrapper(Form.WORDS),
    "time": Wrapper(Form.WORDS, _set("-o -f --output --format")),
    "exec": Wrapper(Form.WORDS, _set("-a")),
    "builtin": Wrapper(Form.WORDS),
    "command": Wrapper(Form.WORDS),
    "eval": Wrapper(Form.JOINED, language="posix"),
    "xargs": Wrapper(Form.WORDS, _set("-I -i -n -P -L -d -s -a -E --max-args --max-procs --replace --delimiter --arg-file")),
    "parallel": Wrapper(Form.WORDS, _set("-j --jobs -a --arg-file --delay --timeout")),
    "watch": Wrapper(Form.JOINED, _set("-n --interval -q"), language="posix"),
    "strace": Wrapper(Form.WORDS, _set("-o -e -p -s -u -E -a")),
    "ltrace": Wrapper(Form.WORDS, _set("-o -e -p -s -u -a")),
    "chroot": Wrapper(Form.WORDS, _set("--userspec --groups"), after=1),
    "unshare": Wrapper(Form.WORDS, _set("-S -G -R -w --setuid --setgid --root --wd")),
    "nsenter": Wrapper(Form.WORDS, _set("-t --target -S -G")),
    "setarch": Wrapper(Form.WORDS, after=1),
    "setpriv": Wrapper(Form.WORDS, _set("--reuid --regid")),
    "firejail": Wrapper(Form.WORDS),
    "proot": Wrapper(Form.WORDS, _set("-r -b -w")),
    "tsocks": Wrapper(Form.WORDS),
    "torsocks": Wrapper(Form.WORDS),
    "proxychains": Wrapper(Form.WORDS, _set("-f")),
    "proxychains4": Wrapper(Form.WORDS, _set("-f")),
    "systemd-run": Wrapper(Form.WORDS, _set("-p --property -u --unit -t --on-active --on-calendar --uid --gid -E --setenv -M -H --slice --description")),
    "dbus-run-session": Wrapper(Form.WORDS),
    "busybox": Wrapper(Form.WORDS),
    "toybox": Wrapper(Form.WORDS),
    "at": Wrapper(Form.JOINED, _set("-f -q -t"), after=1, language=""),
    "flock": Wrapper(Form.WORDS, _set("-w -E --timeout --conflict-exit-code"), after=1, flags=_set("-c --command")),
    "su": Wrapper(Form.TEXT, flags=_set("-c --command --session-command"), language="posix"),
    "runuser": Wrapper(Form.TEXT, flags=_set("-c --command"), language="posix"),
    "script": Wrapper(Form.TEXT, flags=_set("-c --command -qc -qec -eqc"), language="posix"),
    "screen": Wrapper(Form.WORDS, _set("-S -c -e -h -L -p -t -X"), after=0),
    "tmux": Wrapper(Form.JOINED, _set("-s -n -t -c -F -x -y"), words=_set("new new-session neww new-window run-shell run"), language="posix"),
    "find": Wrapper(Form.WORDS, flags=_set("-exec -execdir -ok -okdir"), stops=_set("; + \\;")),
    "fd": Wrapper(Form.WORDS, flags=_set("-x --exec -X --exec-batch"), stops=_set("; \\;")),
    "ssh": Wrapper(Form.JOINED, _SSH, after=1, language="posix"),
    "sshpass": Wrapper(Form.WORDS, _set("-f -d -p -P")),
    "plink": Wrapper(Form.JOINED, _SSH, after=1, language="posix"),
    "rsh": Wrapper(Form.JOINED, _set("-l"), after=1, language="posix"),
    "docker": Wrapper(Form.WORDS, _CONTAINER, after=1, words=_set("exec run")),
    "podman": Wrapper(Form.WORDS, _CONTAINER, after=1, words=_set("exec run")),
    "nerdctl": Wrapper(Form.WORDS, _CONTAINER, after=1, words=_set("exec run")),
    "crictl": Wrapper(Form.WORDS, _set("-t --timeout -r --runtime-endpoint"), after=1, words=_set("exec")),
    "ctr": Wrapper(Form.WORDS, _set("--exec-id -n --namespace"), after=1, words=_set("exec")),
    "runc": Wrapper(Form.WORDS, _set("-u --user -e --env"), after=1, words=_set("exec")),
    "lxc": Wrapper(Form.WORDS, _set("--env --user --cwd"), after=1, words=_set("exec")),
    "lxc-attach": Wrapper(Form.WORDS, _set("-n --name")),
    "docker-compose": Wrapper(Form.WORDS, _CONTAINER, after=1, words=_set("exec run")),
    "kubectl": Wrapper(Form.WORDS, _KUBE, after=1, words=_set("exec run debug")),
    "oc": Wrapper(Form.WORDS, _KUBE, after=1, words=_set("exec rsh run debug")),
    # Windows
    "forfiles": Wrapper(Form.TEXT, _set("/p /m /d -p -m -d"), flags=_set("/c -c"), language="cmd"),
    "pcalua": Wrapper(Form.TEXT, flags=_set("-a"), language="cmd"),
    "conhost": Wrapper(Form.WORDS, _set("--width --height --signal --server")),
    "start": Wrapper(Form.WORDS, _set("/d /node /affinity /machine")),
    "call": Wrapper(Form.WORDS),
    "wmic": Wrapper(Form.JOINED, language="cmd"),
    "schtasks": Wrapper(Form.TEXT, flags=_set("/tr -tr"), language="cmd"),
    "runas": Wrapper(Form.JOINED, language="cmd"),
    "psexec": Wrapper(Form.WORDS, _set("-u -p -n -r -w -a -i"), after=0),
    "psexec64": Wrapper(Form.WORDS, _set("-u -p -n -r -w -a -i"), after=0),
    "paexec": Wrapper(Form.WORDS, _set("-u -p -n -w -a"), after=0),
    "winrs": Wrapper(Form.JOINED, language="cmd"),
    "sc": Wrapper(Form.TEXT, flags=_set("binpath= binpath"), language="cmd"),
    "scriptrunner": Wrapper(Form.TEXT, flags=_set("-appvscript"), language="cmd"),
    "wsl": Wrapper(Form.WORDS, _set("-d --distribution -u --user --cd")),
    "ubuntu": Wrapper(Form.WORDS, words=_set("run -c")),
    "start-process": Wrapper(Form.JOINED, language="cmd"),
    "saps": Wrapper(Form.JOINED, language="cmd"),
    "waitfor": Wrapper(Form.WORDS, after=1),
    "explorer": Wrapper(Form.WORDS),
    "hh": Wrapper(Form.WORDS),
}  # fmt: skip

_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=")
_SPECIAL_AFTER = re.compile(r"\S*create", re.IGNORECASE)


def started(name: str, arguments: Sequence[Word]) -> Started | None:
    """What a wrapper starts, or None where it names nothing."""
    wrapper = WRAPPERS.get(name)
    if wrapper is None or not arguments:
        return None
    if name == "wmic":
        return _wmic(arguments)
    if name in ("start-process", "saps"):
        return _start_process(arguments)
    if wrapper.flags and (found := _flagged(wrapper, arguments)) is not None:
        return found
    if wrapper.flags and name != "flock":
        return None
    at = 0
    if wrapper.words:
        while at < len(arguments) and arguments[at].text.lower() not in wrapper.words:
            if at > 6:
                return None
            at += 1
        at += 1
    rest = _plain(wrapper, arguments[at:], name)
    if not rest or (wrapper.form is Form.WORDS and not _names_program(rest[0].text)):
        return None
    return Started(wrapper.form, rest, wrapper.language)


def _names_program(text: str) -> bool:
    return (bool(text) and text[0] not in "-/:") or (text.startswith("/") and text.count("/") > 1)


def _flagged(wrapper: Wrapper, arguments: Sequence[Word]) -> Started | None:
    for at, word in enumerate(arguments[:-1]):
        if word.text.lower() not in wrapper.flags:
            continue
        if wrapper.form is Form.WORDS and wrapper.stops:
            rest = arguments[at + 1 :]
            stop = next((n for n, one in enumerate(rest) if one.text in wrapper.stops), len(rest))
            return Started(Form.WORDS, tuple(rest[:stop]), wrapper.language)
        return Started(Form.TEXT, (arguments[at + 1],), wrapper.language)
    return None


def _plain(wrapper: Wrapper, arguments: Sequence[Word], name: str) -> tuple[Word, ...]:
    """The arguments from the command on: options, assignments and what comes before are left out."""
    skip = wrapper.after
    at = 0
    while at < len(arguments):
        text = arguments[at].text
        lower = text.lower()
        if text == "--":
            at += 1
            skip = 0 if name in ("kubectl", "oc") else skip
            if skip == 0:
                break
        elif lower in wrapper.options or text in wrapper.options:
            at += 2
        elif _is_option(text, name):
            at += 1
        elif name == "start" and at == 0 and len(arguments) > 1 and arguments[0].end - arguments[0].start > len(text):
            at += 1  # a window's title
        elif (name in ("env", "sudo", "doas") and _ASSIGNMENT.match(text)) or (
            name.startswith(("psexec", "paexec")) and text.startswith("\\\\")
        ):
            at += 1
        elif skip:
            skip -= 1
            at += 1
        else:
            break
    return tuple(arguments[at:])


def _is_option(text: str, name: str) -> bool:
    if text.startswith("-") and len(text) > 1:
        return True
    if name in ("start", "runas", "psexec", "psexec64", "winrs", "at"):
        return text.startswith("/") and len(text) > 1 and "/" not in text[1:]
    return False


_TAKES_VALUE = _set(
    "-windowstyle -workingdirectory -verb -credential -redirectstandardoutput -redirectstandarderror -redirectstandardinput"
)


def _start_process(arguments: Sequence[Word]) -> Started | None:
    """`Start-Process [-FilePath] CMD [-ArgumentList] ARGS` in any order; its arguments are one text."""
    program: Word | None = None
    given: list[Word] = []
    at = 0
    while at < len(arguments):
        lower = arguments[at].text.lower()
        if lower in _TAKES_VALUE:
            at += 2
            continue
        if lower.startswith(("-a", "-f")):
            at += 1
            if at < len(arguments) and lower.startswith("-f"):
                program = arguments[at]
        elif not lower.startswith("-") and program is None:
            program = arguments[at]
        elif not lower.startswith("-"):
            given.append(arguments[at])
            at += 1
            continue
        else:
            at += 1
            continue
        if lower.startswith("-a") and at < len(arguments):
            given.append(arguments[at])
        at += 1
    return Started(Form.JOINED, (program, *given), "cmd") if program is not None else None


def _wmic(arguments: Sequence[Word]) -> Started | None:
    """`wmic [/node:x] process call create "CMD"`."""
    for at, word in enumerate(arguments[:-1]):
        if _SPECIAL_AFTER.fullmatch(word.text) and any(w.text.lower() == "call" for w in arguments[:at]):
            return Started(Form.JOINED, tuple(arguments[at + 1 :]), "cmd")
    return None
