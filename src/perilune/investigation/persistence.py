"""Persistence planted near a case: what starts by itself later because somebody wrote it there."""

# ruff: noqa: E501 - a pattern broken in two is harder to read than a long one

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from perilune.investigation.scope import Hit, Scope, fact, find, with_ids
from perilune.model.facts import Fact, Kind


@dataclass(frozen=True, slots=True)
class Place:
    """A place from which something starts by itself. `fits`: RE2, which Python reads alike."""

    name: str
    fits: str

    def holds(self, text: str) -> bool:
        return re.search(self.fits, text, re.IGNORECASE) is not None


def _places(lines: str) -> tuple[Place, ...]:
    pairs = (line.split("  ", 1) for line in lines.strip().splitlines())
    return tuple(Place(name.strip(), fits.strip()) for name, fits in pairs)


# A registry key with its value's name and data, joined by blanks.
REGISTRY = _places(r"""
LUA_INIT in the environment  \\environment.*lua_init
StartupApproved entry  \\explorer\\startupapproved\\
Run key  \\currentversion\\(policies\\explorer\\)?run(once|onceex|services)?(\\|\s|$)
Winlogon entry  \\winlogon(\\|\s).*(shell|userinit|notify|taskman)
Service  \\services\\[^\\]+(\\parameters)?(\\|\s)(imagepath|servicedll|failurecommand)
Scheduled task  \\schedule\\taskcache\\(tree|tasks|boot|logon)
Image file execution option  \\image file execution options\\.*(debugger|globalflag|verifierdlls)
Silent process exit monitor  \\silentprocessexit\\
Library loaded into every program  \\(appinit_dlls|appcertdlls)
Active Setup component  \\active setup\\installed components\\.*stubpath
Logon script  userinitmprlogonscript
COM object of the user  \\(inprocserver32|localserver32|scriptleturl)(\\|\s|$)
Office start-up entry  \\office( test|\\.*\\(addins|resiliency|security\\trusted locations))\\
Command processor autorun  \\command processor(\\|\s)autorun
Setup command  \\setup(\\|\s).*(cmdline|oobeinprogress)
Screen saver  \\control panel\\desktop.*scrnsave\.exe
Security package  \\control\\lsa\\?.*(security packages|authentication packages|notification packages)
Print or time provider  \\(print\\monitors|w32time\\timeproviders)\\
""")

# Files that are read or run by themselves.
FILES = _places(r"""
Startup folder  \\start menu\\programs\\startup\\
Windows Setup script  \\(oobe\\setup|setup\\scripts)|[\\/](errorhandler|setupcomplete)\.cmd$
Scheduled task  \\windows\\(system32|syswow64)\\tasks\\|\\windows\\tasks\\
PowerShell profile  (microsoft\.powershell_|microsoft\.powershellise_)?profile\.ps1$
Group policy script  \\grouppolicy\\(user|machine)\\scripts\\
Office start-up folder  \\(word\\startup|excel\\xlstart|outlook\\vbaproject\.otm)
Cron  ^/etc/cron|^/var/spool/(cron|at)|/etc/anacrontab
Systemd unit  /systemd/(system|user)/.*\.(service|timer|socket|path|conf)$|/systemd/.*generators/
Shell profile  /(\.bashrc|\.bash_profile|\.bash_login|\.bash_logout|\.profile|\.zshrc|\.zprofile|\.zshenv|\.zlogin|\.cshrc|\.kshrc|config\.fish)$|^/etc/(profile|bash\.bashrc|zsh|environment|profile\.d/)
Desktop autostart  /autostart/[^/]+\.desktop$|/\.config/plasma-workspace/(env|shutdown)/
Launch agent or daemon  /library/(launchagents|launchdaemons|startupitems)/
Boot script  ^/etc/(rc\.local|init\.d/|rc\d\.d/|inittab|update-motd\.d/)
Preloaded library  /etc/ld\.so\.(preload|conf)
SSH key  /\.ssh/(authorized_keys2?|rc)$
Udev or package hook  ^/etc/(udev/rules\.d|apt/apt\.conf\.d|dpkg/dpkg\.cfg\.d|yum/pluginconf\.d|networkmanager/dispatcher\.d|dhcp/dhclient)
PAM or sudo setting  ^/etc/(pam\.d/|sudoers)
Editor start-up file  [\\/](\.vimrc|_vimrc|init\.vim)$|[\\/]n?vim[\\/](init\.lua|lua[\\/]|plugin[\\/]|after[\\/]|pack[\\/])|[\\/]\.vim[\\/](plugin|autoload|after)[\\/]
Window manager start-up file  /awesome/rc\.lua$|/(\.xinitrc|\.xprofile|\.xsession)$|/(i3|sway|hypr)/[^/]*(config|\.conf)$
Lua start-up file of a program  [\\/](\.hammerspoon[\\/].*\.lua|\.?wezterm[\\/]?.*\.lua|mpv[\\/]scripts[\\/].*|\.luarc|vlc[\\/]lua[\\/].*|wireshark[\\/]plugins[\\/].*\.lua|nmap[\\/]scripts[\\/].*\.nse|rspamd[\\/].*\.lua|prosody[\\/].*\.lua|interface[\\/]addons[\\/].*\.lua)$
Python start-up file  [\\/](sitecustomize|usercustomize)\.py$|site-packages[\\/][^\\/]+\.pth$
Server configuration  [\\/](nginx|openresty|haproxy|redis|httpd|apache2|lighttpd)[\\/].*\.(conf|cfg|lua|include)$|[\\/](nginx\.conf|redis\.conf|haproxy\.cfg|kong\.conf|\.htaccess|web\.config)$
Web shell  [\\/](wwwroot|htdocs|public_html|www[\\/]html)[\\/].*\.(php\d?|phtml|aspx?|ashx|jspx?|lua|cgi)$
""")

# Command lines and scripts that plant something.
COMMANDS = _places(r"""
LUA_INIT in the environment  (setx|export|\benv\b|>>?)[^|;]*\blua_init(_5_\d)?|\blua_init(_5_\d)?\s*=\s*@
Scheduled task  schtasks(\.exe)?"?\s.*/(create|change)|(register|new|set)-scheduledtask|schedule\.service|\bat(\.exe)?\s+\d\d?:\d\d
Run key  (reg(\.exe)?"?\s+add|(set|new)-itemproperty|regwrite).*\\currentversion\\(policies\\explorer\\)?run
Winlogon entry  (reg(\.exe)?"?\s+add|(set|new)-itemproperty|regwrite).*\\winlogon
Registry autostart  (reg(\.exe)?"?\s+add|(set|new)-itemproperty|regwrite).*(image file execution options|appinit_dlls|inprocserver32|command processor|userinitmprlogonscript|active setup)
Service  \bsc(\.exe)?"?\s+(\\\\\S+\s+)?(create|config)\s|new-service\b|\bnssm(\.exe)?\s+install|\\services\\[^\\]+.*imagepath
WMI subscription  __eventfilter|commandlineeventconsumer|activescripteventconsumer|__filtertoconsumerbinding
Startup folder  (copy|move|>|out-file|set-content|mklink|createshortcut|new-item).*\\start menu\\programs\\startup|shell:startup
Windows Setup script  oobe\\setup|errorhandler\.cmd|setupcomplete\.cmd
Cron  crontab\s+(-\s*$|-\s*[|<]|-\w*\s+\S+\s+-|/|[^-\s])|\|\s*crontab|>>?\s*["']?(/etc/cron|/var/spool/cron)|tee\s+(-a\s+)?["']?(/etc/cron|/var/spool/cron)|\bat\s+(-f|now)\b|crontab\s+-e
Systemd unit  systemctl\s+(--\S+\s+)*(enable|link|daemon-reload)|>>?\s*\S*/systemd/(system|user)/|tee\s+(-a\s+)?\S*/systemd/|systemd-run\s+.*--on-
Shell profile  (>>?|tee\s+(-a\s+)?|sed\s+-i.*|cp\s+\S+\s+|mv\s+\S+\s+|install\s+.*)\s*["']?\S*(\.bashrc|\.bash_profile|\.bash_login|\.profile|\.zshrc|\.zprofile|\.zshenv|/etc/profile|/etc/bash\.bashrc|config\.fish)|open\(?["'\[]*[^"']*(\.bashrc|\.profile|\.zshrc)["'\]]*\s*,\s*["'](a|w)
Launch agent or daemon  launchctl\s+(load|bootstrap|enable|submit)|/library/launch(agents|daemons)/
Boot script  >>?\s*["']?/etc/(rc\.local|init\.d)|update-rc\.d\s|chkconfig\s+--add
Preloaded library  /etc/ld\.so\.preload|\bLD_PRELOAD=
SSH key  (>>?|tee|cp|echo).*\.ssh/authorized_keys
PowerShell profile  (set-content|add-content|out-file|>>?).*(\$profile|profile\.ps1)
Setuid program  chmod\s+(\S+\s+)*([0-7]?[4-7][0-7]{3}|[ug]?\+s)\s+\S*(sh|bash|lua|python|perl|tmp)
Redis writes a file  config\s+set\s+(dir|dbfilename)\s+\S*(cron|\.ssh|authorized_keys|www|profile)
Editor or window manager start-up file  (>>?|tee\s+(-a\s+)?|cp\s+\S+\s+|curl.*-o|wget.*-O)\s*["']?\S*(/nvim/init\.lua|\.vimrc|awesome/rc\.lua|\.hammerspoon/init\.lua|wezterm\.lua|mpv/scripts/)
Server configuration  (>>?|tee\s+(-a\s+)?|sed\s+-i.*|cp\s+\S+\s+)\s*["']?\S*(nginx\.conf|/nginx/\S+\.conf|redis\.conf|haproxy\.cfg|kong\.conf)
New account  net1?(\.exe)?"?\s+user\s+\S+\s+\S+.*/add|new-localuser|\buseradd\s|\badduser\s|dscl\s.*-create\s+/users
Kubernetes or container start-up  kubectl\s.*(create|apply).*(cronjob|daemonset)|docker\s.*--restart[ =](always|unless-stopped)
Network device start-up  (event manager applet|copy\s+running-config\s+startup-config|write\s+memory)
Hypervisor start-up  /etc/rc\.local\.d/|esxcli\s+software\s+vib\s+install
Cloud start-up  (aws|az|gcloud)\s.*(user-data|create-access-key|credential reset|custom-script|startup-script)
""")

_EVENTS = r"(?i)^(ScheduledTask(Created|Updated|Enabled)|ServiceInstalled|UserAccountCreated|WmiBindEventFilterToConsumer|WmiEvent\S*)$"
_NAMES = {
    "ScheduledTask": "Scheduled task",
    "ServiceInstalled": "Service",
    "UserAccount": "New account",
    "Wmi": "WMI subscription",
}
_RECORDS: Mapping[int, str] = {4698: "Scheduled task", 4702: "Scheduled task", 4697: "Service", 7045: "Service", 4720: "New account",
                               19: "WMI subscription", 20: "WMI subscription", 21: "WMI subscription", 106: "Scheduled task"}  # fmt: skip
_WRITTEN = ("FileCreated", "FileModified", "FileRenamed", "")
SHOWN = 160  # characters of a key, a file or a command in a fact's words


def _any(places: Sequence[Place]) -> str:
    return "(?i)" + "|".join(f"(?:{place.fits})" for place in places)


_IN_REGISTRY, _IN_FILES, _IN_COMMANDS = _any(REGISTRY), _any(FILES), _any(COMMANDS)


def find_persistence(scope: Scope) -> Iterator[Fact]:
    """Everything near the case that plants a start of something."""
    yield from _registry(scope)
    yield from _files(scope)
    yield from _commands(scope)
    yield from _events(scope)


def _registry(scope: Scope) -> Iterator[Fact]:
    columns = ("RegistryKey", "RegistryValueName", "RegistryValueData")
    # The three are matched one by one on whole columns, which is a superset of the places, then joined.
    for hit in find(scope, "DeviceRegistryEvents", columns, _loose(_IN_REGISTRY)):
        if "delete" in hit.text("ActionType").lower():
            continue
        text = " ".join(hit.text(column) for column in columns)
        if place := _place(REGISTRY, text):
            data = hit.text("RegistryValueData")
            said = f"{_who(hit)} sets {hit.text('RegistryKey')[:SHOWN]}" + (f" = {data[:SHOWN]}" if data else "")
            yield fact(scope, Kind.PERSISTENCE, place.name, said, hit, hit.text("RegistryKey"))


def _loose(pattern: str) -> str:
    """Also what only the joined text could show: environment, service and Winlogon values."""
    return pattern + r"|\\environment|lua_init|\\winlogon|\\services\\|\\setup"


def _files(scope: Scope) -> Iterator[Fact]:
    for hit in find(scope, "DeviceFileEvents", ("FolderPath",), _IN_FILES):
        if hit.text("ActionType") in _WRITTEN and (place := _place(FILES, hit.text("FolderPath"))):
            said = f"{_who(hit)} writes {hit.text('FolderPath')[:SHOWN]}"
            yield fact(scope, Kind.PERSISTENCE, place.name, said, hit, hit.text("FolderPath"))


def _commands(scope: Scope) -> Iterator[Fact]:
    for hit in find(scope, "DeviceProcessEvents", ("ProcessCommandLine",), _IN_COMMANDS):
        command = hit.text("ProcessCommandLine")
        if place := _place(COMMANDS, command):
            said = f"{hit.text('FileName') or 'a process'} is started with {command[:SHOWN]}"
            yield fact(scope, Kind.PERSISTENCE, place.name, said, hit, command[:400])
    for hit in find(scope, "XScriptEvents", ("XScriptText",), _IN_COMMANDS):
        if place := _place(COMMANDS, hit.text("XScriptText")[:20_000]):
            said = f"a script holds what plants a {place.name[0].lower()}{place.name[1:]}: {_around(place, hit.text('XScriptText'))}"
            yield fact(scope, Kind.PERSISTENCE, place.name, said, hit)


def _events(scope: Scope) -> Iterator[Fact]:
    for hit in find(scope, "DeviceEvents", ("ActionType",), _EVENTS):
        name = next((word for start, word in _NAMES.items() if hit.text("ActionType").startswith(start)), "Autostart")
        yield fact(
            scope,
            Kind.PERSISTENCE,
            name,
            f"{_who(hit)}: {hit.text('ActionType')} {hit.text('AdditionalFields')[:SHOWN]}",
            hit,
        )
    for hit in with_ids(scope, _RECORDS, r"(?i)(security-auditing|service control manager|sysmon|taskscheduler)$"):
        said = f"event {hit.text('XEventId')} of {hit.text('XProvider')}: {hit.text('AdditionalFields')[:SHOWN]}"
        yield fact(scope, Kind.PERSISTENCE, _RECORDS[int(hit.text("XEventId"))], said, hit)


def _place(places: Sequence[Place], text: str) -> Place | None:
    return next((place for place in places if place.holds(text)), None)


def _who(hit: Hit) -> str:
    return hit.text("InitiatingProcessFileName") or "a process"


def _around(place: Place, text: str) -> str:
    found = re.search(place.fits, text[:20_000], re.IGNORECASE)
    start = found.start() if found else 0
    return " ".join(text[max(0, start - 20) : start + SHOWN].split())
