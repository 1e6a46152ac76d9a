"""The programs that run code: one row each, with the ATT&CK technique and how code is handed to them.

`find` knows a program by its image name, whatever its folder, case or version suffix, and a renamed one by the
original file name that its version resource states.
"""

# ruff: noqa: E501 - a pattern or a table row broken in two is harder to read than a long one

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache


class Takes(StrEnum):
    """What follows a flag that carries code."""

    NEXT = "next"  # the next argument: `python -c CODE`; also attached, where `attached` says so
    REST = "rest"  # everything to the end of the command: `cmd /c CODE`, `powershell -Command CODE`
    BASE64 = "base64"  # the next argument, base64 of UTF-16LE: `powershell -EncodedCommand`
    FILE = "file"  # the next argument names a script: it ends the options
    SKIP = "skip"  # the next argument is the flag's and no code
    ATTACHED = "attached"  # the rest of its own word: `perl -MSocket`
    SUBCOMMAND = "subcommand"  # a word, after which the next argument is code: `deno eval CODE`


class Prefix(StrEnum):
    """How flags are recognised."""

    EXACT = "exact"
    LETTERS = "letters"  # single-letter flags may be bundled: `bash -lc`, `perl -ne`
    POWERSHELL = "powershell"  # any dash or slash, any case, any unambiguous prefix, `:` before the value
    SLASH = "slash"  # `/c`, any case, the value may be attached


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag, and what it takes. For prefix matching `least` is the shortest form that is accepted."""

    name: str
    takes: Takes
    least: int = 0


@dataclass(frozen=True, slots=True)
class Interpreter:
    """One row.

    names      a regular expression for the image's base name without `.exe`, lower-case
    originals  original file names of the version resource, lower-case
    language   of the code that it runs; `` where it runs commands of its own (cloud, hypervisor)
    quoting    who splits the command line into arguments: `windows`, `posix`, or `either`
    positional what its first plain argument is: `file`, `code` or ``
    """

    name: str
    technique: str
    names: str
    language: str = ""
    flags: tuple[Flag, ...] = ()
    prefix: Prefix = Prefix.EXACT
    quoting: str = "either"
    comment: str = "#"
    originals: tuple[str, ...] = ()
    positional: str = "file"
    attached: bool = False


def _next(*names: str) -> tuple[Flag, ...]:
    return tuple(Flag(name, Takes.NEXT) for name in names)


def _skip(*names: str) -> tuple[Flag, ...]:
    return tuple(Flag(name, Takes.SKIP) for name in names)


def _attached(*names: str) -> tuple[Flag, ...]:
    return tuple(Flag(name, Takes.ATTACHED) for name in names)


def _words(*names: str) -> tuple[Flag, ...]:
    return tuple(Flag(name, Takes.SUBCOMMAND) for name in names)


# `least`: powershell.exe -? and the documented abbreviations; -e, -ec and -en mean -EncodedCommand, -ex… does not.
_POWERSHELL = (
    Flag("encodedcommand", Takes.BASE64, 1),
    Flag("ec", Takes.BASE64, 2),
    Flag("encodedarguments", Takes.SKIP, 8),
    Flag("ea", Takes.SKIP, 2),
    Flag("executionpolicy", Takes.SKIP, 2),
    Flag("ep", Takes.SKIP, 2),
    Flag("command", Takes.REST, 1),
    Flag("cwa", Takes.REST, 3),
    Flag("commandwithargs", Takes.REST, 8),
    Flag("file", Takes.FILE, 1),
    Flag("windowstyle", Takes.SKIP, 1),
    Flag("configurationname", Takes.SKIP, 5),
    Flag("custompipename", Takes.SKIP, 2),
    Flag("inputformat", Takes.SKIP, 2),
    Flag("if", Takes.SKIP, 2),
    Flag("outputformat", Takes.SKIP, 1),
    Flag("of", Takes.SKIP, 2),
    Flag("psconsolefile", Takes.SKIP, 2),
    Flag("settingsfile", Takes.SKIP, 2),
    Flag("version", Takes.SKIP, 1),
    Flag("workingdirectory", Takes.SKIP, 2),
    Flag("wd", Takes.SKIP, 2),
)
_SHELL = (*_next("c"), *_skip("-rcfile", "-init-file", "O", "o"))
_SCRIPT_HOST = (*_skip("/e", "//e", "//t", "/t", "//job"),)

INTERPRETERS: tuple[Interpreter, ...] = (
    # T1059.001
    Interpreter("powershell", "T1059.001", r"powershell(_ise)?", "powershell", _POWERSHELL, Prefix.POWERSHELL, "windows",
                originals=("powershell.exe", "powershell_ise.exe"), positional="code"),
    Interpreter("pwsh", "T1059.001", r"pwsh(-preview)?", "powershell", _POWERSHELL, Prefix.POWERSHELL,
                originals=("pwsh.dll", "pwsh.exe")),
    # T1059.002
    Interpreter("osascript", "T1059.002", r"osascript|osacompile", "applescript", (*_next("e"), *_skip("l", "s", "o")),
                Prefix.LETTERS, "posix", "--"),
    # T1059.003
    Interpreter("cmd", "T1059.003", r"cmd|command\.com", "cmd",
                (Flag("c", Takes.REST), Flag("k", Takes.REST), Flag("r", Takes.REST)), Prefix.SLASH, "windows", "rem",
                ("cmd.exe",), ""),
    # T1059.004
    Interpreter("sh", "T1059.004", r"r?(ba|da|a|k|z|mk|ya|pdk|lk|c|tc)?sh(-?\d+(\.\d+)*)?|[lmp]ksh|ksh93|busybox-sh|toybox-sh",
                "posix", _SHELL, Prefix.LETTERS, "posix"),
    Interpreter("fish", "T1059.004", r"fish", "posix",
                (*_next("c", "C", "-command", "-init-command"), *_skip("o")), Prefix.LETTERS, "posix"),
    # T1059.005
    Interpreter("wscript", "T1059.005", r"wscript", "vbscript", _SCRIPT_HOST, Prefix.SLASH, "windows", "'",
                ("wscript.exe",)),
    Interpreter("cscript", "T1059.005", r"cscript", "vbscript", _SCRIPT_HOST, Prefix.SLASH, "windows", "'",
                ("cscript.exe",)),
    Interpreter("mshta", "T1218.005", r"mshta", "html", (), Prefix.EXACT, "windows", "'", ("mshta.exe",), "html"),
    Interpreter("vba", "T1059.005", r"winword|excel|powerpnt|outlook|msaccess|mspub|visio|onenote", "vbscript",
                (), Prefix.SLASH, "windows", "'",
                ("winword.exe", "excel.exe", "powerpnt.exe", "outlook.exe", "msaccess.exe"), "document"),
    # T1059.006
    Interpreter("python", "T1059.006", r"(python|pypy|ipython|jython|graalpy)w?(\d+(\.\d+)*)?(m|d|t|-intel64|-arm64)?|pyw?",
                "python", (*_next("c"), Flag("m", Takes.FILE), *_skip("W", "X", "Q", "-check-hash-based-pycs")),
                Prefix.LETTERS, originals=("python.exe", "pythonw.exe", "py.exe"), attached=True),
    # T1059.007
    Interpreter("node", "T1059.007", r"node(js)?(\d+)?|iojs|electron", "javascript",
                (*_next("e", "p", "pe", "-eval", "-print"), *_skip("r", "-require", "-import", "-loader")),
                Prefix.LETTERS, comment="//", originals=("node.exe", "electron.exe")),
    Interpreter("deno", "T1059.007", r"deno", "javascript", (*_words("eval", "repl"), *_skip("-eval")), comment="//",
                originals=("deno.exe",), positional=""),
    Interpreter("bun", "T1059.007", r"bunx?", "javascript",
                (*_next("e", "p", "-eval", "-print"), Flag("run", Takes.FILE), *_skip("r", "-preload")),
                Prefix.LETTERS, comment="//", originals=("bun.exe",)),
    Interpreter("jsc", "T1059.007", r"jsc|qjs|d8|rhino|jjs|gjs|mujs", "javascript", _next("e", "c", "-eval"),
                Prefix.LETTERS, "posix", "//"),
    # T1059.008
    Interpreter("network-cli", "T1059.008",
                r"vtysh|birdc6?|fastcli|nxcli|dohost|clish|cli|cli-junos|junos-cli|vsh|tclsh-ios|plink-ios|bpsh|imish|vbash|tmsh|nclu",
                "network", (*_next("c", "p", "-c", "-command"), *_skip("d", "f")), Prefix.LETTERS, "posix", "!",
                positional="code"),
    # T1059.009
    Interpreter("aws", "T1059.009", r"aws|aws2|aws-shell", positional="cloud", originals=("aws.exe",)),
    Interpreter("az", "T1059.009", r"az|azd|az\.cmd", positional="cloud"),
    Interpreter("gcloud", "T1059.009", r"gcloud|gsutil|bq|gcloud\.cmd", positional="cloud"),
    Interpreter("cloud-cli", "T1059.009", r"oci|aliyun|doctl|ibmcloud|linode-cli|hcloud|scw|tccli|eksctl|s3cmd|openstack",
                positional="cloud"),
    # T1059.010
    Interpreter("autohotkey", "T1059.010", r"autohotkey(u?32|u?64|a32|ux|_?h)?(_ui?a)?|ahk2?", "autohotkey",
                (), Prefix.SLASH, "windows", ";", ("autohotkey.exe", "autohotkeyu64.exe", "autohotkeyux.exe")),
    Interpreter("autoit", "T1059.010", r"autoit3?(_x64|_x86)?|aut2exe(_x64)?|autoit3help", "autoit",
                (Flag("autoit3executeline", Takes.NEXT), Flag("autoit3executescript", Takes.FILE)), Prefix.SLASH,
                "windows", ";", ("autoit3.exe", "autoit3_x64.exe", "autoit v3 script")),
    # T1059.011
    Interpreter("lua", "T1059.011", r"w?(lua|luajit|luau|lua-?jit|luajittex)(-?5[._]?\d)?(\.\d+)*(32|64)?|luvit|luvi|tarantool|resty|texlua(jit)?|moon",
                "lua", (*_next("e"), *_skip("l", "-O", "I", "-shdict", "j", "O")), Prefix.LETTERS, "either", "--",
                ("lua.exe", "luajit.exe", "lua54.exe", "lua51.exe"), attached=True),
    Interpreter("nmap", "T1059.011", r"nmap", "lua", _skip("-script-args", "p", "oN", "oX", "oG", "oA", "e"), Prefix.EXACT,
                positional="", comment="--"),
    Interpreter("lua-host", "T1059.011", r"luatex|lualatex(-dev)?|luahbtex|pandoc|wireshark|tshark|rspamadm|haproxy|love|mpv|nvim-lua",
                "lua", (Flag("-lua-filter", Takes.FILE), Flag("-luaonly", Takes.FILE), *_skip("i", "r", "w")), Prefix.EXACT,
                positional="", comment="--"),
    Interpreter("editor", "T1059.011", r"n?vim?|rn?vim|vimdiff|gvim|nvim-qt", "vim",
                (*_next("c", "-cmd"), Flag("l", Takes.FILE), *_skip("u", "S", "i", "s", "T")),
                Prefix.EXACT, comment='"'),
    Interpreter("redis-cli", "T1059.011", r"redis-cli|valkey-cli|keydb-cli", "lua",
                (*_words("eval", "eval_ro"), *_skip("h", "p", "a", "n", "u", "s")), Prefix.EXACT, positional="",
                comment="--"),
    Interpreter("rpm", "T1059.011", r"rpm|rpmspec|rpmbuild", "rpm-macro", _next("-eval", "E", "-pipe"), Prefix.EXACT,
                "posix", "--", positional=""),
    # T1059.012
    Interpreter("esxcli", "T1059.012", r"esxcli|localcli|esxcfg-\w+|esxtop|vsish", positional="hypervisor", quoting="posix"),
    Interpreter("vim-cmd", "T1059.012", r"vim-cmd|vmware-cmd|vicfg-\w+|vmkfstools|govc|vmrun|powercli", positional="hypervisor"),
    Interpreter("virsh", "T1059.012", r"virsh|virt-(install|manager|clone|customize|viewer)|xl|xe|xm|qm|pct|pvesh|pvectl|vboxmanage|prlctl|nutanix|acli|ncli",
                positional="hypervisor"),
    Interpreter("hyper-v", "T1059.012", r"hvc|vmconnect|(get|start|stop|remove|new|set|checkpoint|restore|export|import|move|suspend|resume|save|mount|enter|copy|invoke)-(vm|vhd)\w*",
                positional="hypervisor", quoting="windows"),
    # T1059.013
    Interpreter("docker", "T1059.013", r"docker|docker-compose|com\.docker\.cli|dockerd|docker-machine", positional="container"),
    Interpreter("podman", "T1059.013", r"podman|podman-remote|buildah|skopeo", positional="container"),
    Interpreter("nerdctl", "T1059.013", r"nerdctl(\.lima)?|ctr|runc|crun|lxc|lxc-\w+|incus|machinectl", positional="container"),
    Interpreter("crictl", "T1059.013", r"crictl", positional="container"),
    Interpreter("kubectl", "T1059.013", r"kubectl|oc|k3s|microk8s|kubeadm|helm3?|minikube|k|peirates", positional="container"),
    # not sub-techniques of their own
    Interpreter("perl", "T1059", r"perl(\d+(\.\d+)*)?|cperl|wperl", "perl", (*_next("e", "E"), *_attached("M", "m", "I", "F", "i", "x", "0", "C", "D")),
                Prefix.LETTERS,
                originals=("perl.exe", "wperl.exe")),
    Interpreter("ruby", "T1059", r"[ji]?ruby(\d+(\.\d+)*)?w?|irb|mruby", "ruby", (*_next("e"), *_attached("r", "I", "i", "0", "F", "x", "W", "K", "E"), *_skip("C")), Prefix.LETTERS,
                originals=("ruby.exe", "rubyw.exe")),
    Interpreter("php", "T1059", r"php(\d+(\.\d+)*)?(-cgi|-fpm|-win)?", "php",
                (*_next("r", "B", "R", "E", "-run"), *_skip("d", "c", "S", "t"), Flag("f", Takes.FILE)), Prefix.LETTERS,
                comment="//", originals=("php.exe",)),
    Interpreter("awk", "T1059", r"[gmn]?awk|busybox-awk|original-awk|goawk", "awk",
                (*_next("e", "-source"), *_skip("F", "v", "-assign", "-field-separator"), Flag("f", Takes.FILE)),
                Prefix.LETTERS, "posix", positional="code", attached=True),
    Interpreter("tclsh", "T1059", r"(tclsh|wish)(\d+(\.\d+)*)?|jimsh|expect", "tcl", (*_next("c"), Flag("f", Takes.FILE)),
                Prefix.LETTERS, "posix"),
    Interpreter("r", "T1059", r"rscript|r|octave(-cli)?|julia|gnuplot", "r", _next("e", "-eval"), Prefix.LETTERS),
    Interpreter("emacs", "T1059", r"emacs(client|-nox|-\d+)?", "elisp", _next("-eval", "eval", "-execute"), Prefix.EXACT,
                comment=";"),
    Interpreter("fsi", "T1059", r"fsi(anycpu)?|csi|rcsi|dotnet-script|scriptcs|msbuild-inline", "dotnet",
                _next("e", "-eval", "-exec"), Prefix.EXACT, originals=("fsi.exe", "fsianycpu.exe", "csi.exe")),
    Interpreter("java-shell", "T1059", r"jshell|groovy(sh)?|scala|kotlinc?|jrunscript|bsh", "java", _next("e", "-eval"),
                Prefix.LETTERS, comment="//"),
    Interpreter("sql-shell", "T1059", r"sqlcmd|osql|isql|mysql|psql|sqlite3|sqlplus", "sql",
                (*_next("q", "Q", "e", "c", "-execute", "-command", "-cmd"),), Prefix.EXACT, comment="--", positional=""),
    Interpreter("wmic", "T1047", r"wmic", positional="", quoting="windows", originals=("wmic.exe",)),
)  # fmt: skip

BY_NAME = {one.name: one for one in INTERPRETERS}
_NAMES = re.compile("|".join(f"(?P<i{n}>{one.names})" for n, one in enumerate(INTERPRETERS)))
_ORIGINALS = {name: one for one in INTERPRETERS for name in one.originals}
MAX_NAME = 300
_VARIABLES = {
    "%comspec%": "cmd",
    "!comspec!": "cmd",
    "$env:comspec": "cmd",
    "$shell": "sh",
    "${shell}": "sh",
    "$bash": "bash",
}
_SUFFIX = re.compile(r"\.(exe|com|bat|cmd|bin)$")


@lru_cache(maxsize=8192)
def base_name(image: str) -> str:
    """The program's name as it is compared: no folder, no `.exe`, lower-case."""
    name = image.strip().strip("\"'").rstrip("\\/")
    name = name[max(name.rfind("\\"), name.rfind("/")) + 1 :][:MAX_NAME].lower().rstrip(". ")
    name = _VARIABLES.get(name, name)
    return _SUFFIX.sub("", name)


def find(image: str, original: str = "") -> Interpreter | None:
    """The row of a program; the original file name wins over the image, which anyone can rename."""
    if original and (known := _ORIGINALS.get(original.lower())):
        return known
    return _by_name(base_name(image))


@lru_cache(maxsize=8192)
def _by_name(name: str) -> Interpreter | None:
    if len(name) > 64:
        return None
    found = _NAMES.fullmatch(name)
    return INTERPRETERS[int(found.lastgroup[1:])] if found and found.lastgroup else None


@dataclass(frozen=True, slots=True)
class Given:
    """Where code stands among a program's arguments: arguments `first` to `last`, and how to read it.

    `cut` characters at the head of the first argument belong to the flag (`-c"code"`).
    """

    takes: Takes
    first: int
    last: int
    flag: str
    cut: int = 0


DASHES = "-\N{EN DASH}\N{EM DASH}\N{HORIZONTAL BAR}"


def code_of(row: Interpreter, arguments: Sequence[str]) -> Given | None:
    """The first code among the arguments, or None where the program gets a file or nothing."""
    if not row.flags and row.positional != "code":
        return None
    if row.prefix is Prefix.POWERSHELL:
        return _powershell(row, arguments)
    if row.prefix is Prefix.SLASH:
        return _slash(row, arguments)
    return _getopt(row, arguments)


def _powershell(row: Interpreter, arguments: Sequence[str]) -> Given | None:
    at = 0
    while at < len(arguments):
        word = arguments[at]
        if not word or word[0] not in DASHES + "/" or len(word) < 2:
            return Given(Takes.REST, at, len(arguments), "") if row.positional == "code" and word else None
        name, colon, _ = word[1:].lstrip(DASHES).partition(":")
        flag = powershell_flag(row, name)
        if flag is None or flag.takes is Takes.FILE:
            if flag is not None:
                return None
            at += 1
            continue
        cut = len(word) - len(word[1:].lstrip(DASHES)) + len(name) + 1 if colon else 0
        first = at if colon else at + 1
        if flag.takes is Takes.BASE64 and first < len(arguments):
            return Given(Takes.BASE64, first, first + 1, word, cut)
        if flag.takes is Takes.REST:
            return Given(Takes.REST, first, len(arguments), word, cut)
        at = first + 1
    return None


def powershell_flag(row: Interpreter, name: str) -> Flag | None:
    """The flag that a written name means: PowerShell takes any prefix that its own order makes clear."""
    name = name.lower()
    for flag in row.flags:
        if len(name) >= max(1, flag.least) and flag.name.startswith(name):
            return flag
    return None


def _slash(row: Interpreter, arguments: Sequence[str]) -> Given | None:
    for at, word in enumerate(arguments):
        if word[:1] not in ("/", "-") or len(word) < 2:
            if row.language == "cmd" and "/" in word[1:]:  # `cmd.exe/c`, `foo/../c`: cmd looks for the switch anywhere
                continue
            return None
        for flag in row.flags:
            if word[1:].lower().startswith(flag.name) and flag.takes is Takes.REST and len(flag.name) == 1:
                cut = 2 if len(word) > 2 else 0
                return Given(Takes.REST, at if cut else at + 1, len(arguments), word[:2], cut)
            if word[1:].lower() == flag.name and flag.takes is Takes.NEXT and at + 1 < len(arguments):
                return Given(Takes.NEXT, at + 1, at + 2, word)
    return None


def _getopt(row: Interpreter, arguments: Sequence[str]) -> Given | None:
    at = 0
    while at < len(arguments):
        word = arguments[at]
        if word == "--":
            at += 1
            break
        if word[:1] not in "-+" or len(word) < 2:
            sub = next((f for f in row.flags if f.name == word.lower() and f.takes is Takes.SUBCOMMAND), None)
            if sub is None:
                if row.positional in ("file", "code"):
                    break
                at += 1
                continue
            first = at + 1
            while first < len(arguments) and arguments[first].startswith("-"):
                first += 1
            return Given(Takes.NEXT, first, first + 1, word) if first < len(arguments) else None
        found = _flagged(row, arguments, at)
        if isinstance(found, Given):
            return found
        if found < 0:
            return None
        at += found
    if row.positional == "code" and at < len(arguments):
        return Given(Takes.NEXT, at, at + 1, "")
    return None


def _flagged(row: Interpreter, arguments: Sequence[str], at: int) -> Given | int:
    """The code that the option at `at` carries, or how many arguments to go on; -1 where a file ends the options."""
    word = arguments[at]
    name, equals, _ = word[1:].partition("=")
    for flag in row.flags:
        if flag.name == name and flag.takes is not Takes.SUBCOMMAND:
            if equals and flag.takes is Takes.NEXT:
                return Given(Takes.NEXT, at, at + 1, word[: len(name) + 1], len(name) + 2)
            return _taken(flag, arguments, at, word)
    if row.prefix is not Prefix.LETTERS or word[1] == "-":
        return 1
    return _bundled(row, arguments, at, word)


def _bundled(row: Interpreter, arguments: Sequence[str], at: int, word: str) -> Given | int:
    """The same for single letters that share one dash."""
    for place, letter in enumerate(word[1:], 1):
        for flag in row.flags:
            if flag.name != letter or flag.takes is Takes.SUBCOMMAND:
                continue
            if flag.takes is Takes.ATTACHED:
                return 1
            if place + 1 == len(word) or (row.quoting == "posix" and flag.takes is Takes.NEXT and not row.attached):
                return _taken(flag, arguments, at, word)
            if flag.takes is Takes.NEXT and (row.attached or place == 1):
                return Given(Takes.NEXT, at, at + 1, word[: place + 1], place + 1)
            return -1 if flag.takes is Takes.FILE else 1
    return 1


def _taken(flag: Flag, arguments: Sequence[str], at: int, word: str) -> Given | int:
    if flag.takes is Takes.FILE:
        return -1
    if flag.takes is Takes.SKIP:
        return 2
    return Given(Takes.NEXT, at + 1, at + 2, word) if at + 1 < len(arguments) else 2
