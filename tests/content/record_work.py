"""Records ordinary work as the kernel's audit tells it, afresh: packages, builds, editors, scans, a database.

    sudo python -m tests.content.record_work FILE

The work runs as root in its own mount and network namespace, over copies of `/usr`, `/etc` and `/var` that vanish with
it, and under a login id that nobody has; the kernel is asked for that id alone. Records are read from the audit's
multicast group, so a running audit daemon is neither needed nor disturbed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from perilune.errors import SensorError
from perilune.service import netlink

LOGIN = 104_277  # a login id that nobody has
MARK = "work-is-done"

# One line is one command of a shell. A line whose first word is no program of this machine is left out.
WORK = r"""
apt-get -s install lua5.4
apt list --installed 'lua*'
apt-cache policy bash
dpkg-deb --build --root-owner-group deb/hello hello.deb
dpkg -i hello.deb
dpkg -l hello-work
dpkg -r hello-work
pip install --no-index --no-build-isolation --no-deps --target libs ./pkg
pip list
python3 -m venv --without-pip env
python3 -m http.server --help
python3 -c 'import json, sys; print(json.dumps({"path": sys.path}))'
python3 -m unittest -q test_sums.py
luarocks list
luarocks path --bin
luarocks make rock/hello-1.0-1.rockspec
luarocks show hello
luarocks remove hello
lua5.4 report.lua orders.txt
lua5.4 -e 'print(_VERSION)'
lua5.4 -i < /dev/null
luac5.4 -p report.lua
luajit -v
cc -O1 -o sum sum.c
./sum 1 2
make -s -C build
make -s -C build check
cmake --version
git init -q repo
git -C repo -c user.name=a -c user.email=a@example.org commit -q --allow-empty -m first
git -C repo log --oneline
git clone -q repo copy
git -C copy status --short
npm init -y
npm run build
node -e 'console.log(process.version)'
node -p 'require("./package.json").name'
cargo --version
vim -es -u NONE -c 'e report.lua' -c 'wq'
vim -es -u NONE -c '%!sort' -c 'wq' orders.txt
nvim --headless -u NONE +q report.lua
nvim --headless -c 'lua print(vim.version().major)' -c q
nano --version
emacs --version
nmap -sT -p 80 127.0.0.1
nmap -p 80 --script http-title 127.0.0.1
nmap -sC -p 22 127.0.0.1
tshark --version
redis-server --port 6399 --daemonize yes --save ''
redis-cli -p 6399 set a 1
redis-cli -p 6399 get a
redis-cli -p 6399 eval "return redis.call('get', KEYS[1])" 1 a
redis-cli -p 6399 shutdown nosave
texlua --version
pdftex --version
tar czf /tmp/out.tgz report.lua orders.txt
tar xzf /tmp/out.tgz -C /tmp
gzip -dk < /tmp/out.tgz > /tmp/out.tar
find . -name '*.lua' -exec wc -l {} +
find . -type f -print0 | xargs -0 ls -la
grep -rn 'os.execute(' . || true
sed -i 's/mon/monday/' orders.txt
awk '{sum += $2} END {print sum}' orders.txt
sort orders.txt | uniq -c | sort -rn
base64 orders.txt | base64 -d | md5sum
cat /etc/passwd | cut -d: -f1 | head -3
ps aux | grep bash | head -3
id; whoami; hostname; uname -a
df -h; free -m; uptime
crontab -l || true
echo '0 3 * * * /usr/local/bin/backup' | crontab -
systemctl --version
journalctl --version
openssl rand -hex 8
ssh -V
curl --version
docker --version
kubectl version --client
tmux -V
bash build.sh
sh -c 'for i in 1 2 3; do echo $i; done'
run-parts --test /etc/cron.daily
logrotate --version
man -w ls
"""
FILES = {
    "report.lua": "local s = 0\nfor l in io.lines(arg[1]) do s = s + (tonumber(l:match '(%d+)$') or 0) end\nprint(s)\n",
    "orders.txt": "mon 12\ntue 31\nwed 27\n",
    "sum.c": "#include <stdlib.h>\nint main(int n, char **a) { return n > 2 ? atoi(a[1]) - atoi(a[1]) : 0; }\n",
    "build/Makefile": "all:\n\tcc -c -o a.o ../sum.c\n\tar rcs liba.a a.o\ncheck:\n\ttest -f liba.a\n",
    "build.sh": "#!/bin/bash\nset -e\ncd build\nmake -s clean 2>/dev/null || true\nmake -s\n",
    "pkg/setup.py": "from setuptools import setup\nsetup(name='sums', version='1', py_modules=['sums'])\n",
    "pkg/sums.py": "def add(a, b):\n    return a + b\n",
    "test_sums.py": "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(1 + 1, 2)\n",
    "rock/hello-1.0-1.rockspec": (
        "package='hello' version='1.0-1' source={url='file://.'} description={license='MIT'} dependencies={}\n"
        "build={type='builtin', modules={hello='report.lua'}}\n"
    ),
    "deb/hello/DEBIAN/control": (
        "Package: hello-work\nVersion: 1\nArchitecture: all\nMaintainer: a <a@example.org>\nDescription: a trial\n"
    ),
    "deb/hello/DEBIAN/postinst": "#!/bin/sh\nset -e\ntest -d /usr/share && ldconfig || true\n",
    "package.json": '{"name": "work", "version": "1.0.0", "scripts": {"build": "node -e 1 && ls"}}\n',
}


class Unavailable(Exception):
    """Why the kernel's audit cannot be used here."""


def record() -> list[str]:
    """The work's records as an audit log has them. Raises Unavailable where this machine cannot tell."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        raise Unavailable("needs root and unshare")
    try:
        with netlink.record(netlink.executions(LOGIN)) as recording, ThreadPoolExecutor(1) as other:
            working = other.submit(_work)
            lines = _until_the_mark(recording, working)
            if recording.losses() or not recording.is_whole():
                raise Unavailable("records are lost, or another program changed the audit's rules")
    except SensorError as error:
        raise Unavailable(str(error)) from None
    return _own(lines)


def _own(lines: list[str]) -> list[str]:
    """The events of the work's login alone: others may be recorded at the same time."""
    events = {_event(line) for line in lines if line.startswith("type=SYSCALL ") and f" auid={LOGIN} " in line}
    return [line for line in lines if _event(line) in events]


def _event(line: str) -> str:
    return line.partition("audit(")[2].partition(")")[0]


def _until_the_mark(recording: netlink.Recording, working: Future[None]) -> list[str]:
    lines: list[str] = []
    while not any(MARK in line for line in lines[-400:]):
        more = recording.read(1.0)
        lines += more
        if working.done() and not more:
            working.result()
            raise Unavailable("the audit fell silent")
    working.result()
    return lines


def _work() -> None:
    def become() -> None:
        Path("/proc/self/loginuid").write_text(str(LOGIN))

    inside = ["unshare", "--mount", "--net", "--propagation", "private", sys.executable, str(Path(__file__).resolve())]
    try:
        done = subprocess.run([*inside, "--inside"], preexec_fn=become, capture_output=True, text=True, timeout=300)
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(f"the work cannot be done apart from the machine: {error}") from None
    if done.returncode:
        raise Unavailable(f"the work cannot be done apart from the machine: {done.stderr[-300:]}")


# What follows runs in the namespaces.


def inside() -> None:
    _furnish()
    environment = {"PATH": os.environ["PATH"], "HOME": "/root", "LANG": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
    for line in WORK.strip().splitlines():
        if line.startswith("./") or shutil.which(line.split()[0].rstrip(";")):
            subprocess.run(
                ["/bin/bash", "-c", f"{line}\ntrue"],  # two commands, so that the shell stays the parent
                cwd="/srv/work",
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=60,
                check=False,
            )
    subprocess.run(["/bin/echo", MARK], stdout=subprocess.DEVNULL, check=True)


def _furnish() -> None:
    """Copies over the machine's folders, and the files that the work is about."""
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/mnt"], check=True)
    for place in ("usr", "etc", "var", "root", "srv", "home"):
        for part in ("upper", "work"):
            Path("/mnt", place, part).mkdir(parents=True)
        layers = f"lowerdir=/{place},upperdir=/mnt/{place}/upper,workdir=/mnt/{place}/work"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, f"/{place}"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", "/tmp"], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=False)
    for name, text in FILES.items():
        path = Path("/srv/work", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if text.startswith("#!"):
            path.chmod(0o755)


if __name__ == "__main__":
    if sys.argv[1:] == ["--inside"]:
        inside()
    else:
        Path(sys.argv[1]).write_text("\n".join(record()) + "\n")
