"""A real Apache Kafka broker in KRaft mode on loopback, from a folder of its jars (`KAFKA_LIBS`)."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 90.0


def missing() -> str:
    """What is not here; empty where a broker can be started."""
    libs = os.environ.get("KAFKA_LIBS", "")
    if not libs or not list(Path(libs).glob("kafka_2.13-*.jar")):
        return "KAFKA_LIBS names no folder with the jars of org.apache.kafka:kafka_2.13"
    return "" if shutil.which("java") else "there is no Java for Kafka"


@dataclass(slots=True)
class RealBroker:
    """One node, broker and controller. It can be ended and begun again over the same data."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def begin(self) -> None:
        with (self.folder / "broker.log").open("ab") as log:
            command = [*_java("512m"), "kafka.Kafka", str(self.folder / "server.properties")]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.2)
        raise RuntimeError((self.folder / "broker.log").read_text(errors="replace")[-3000:])

    def end(self, *, hard: bool = False) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill() if hard else self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None


@contextmanager
def real_broker(folder: Path) -> Iterator[RealBroker]:
    folder.mkdir(parents=True, exist_ok=True)
    ports = []
    for _ in range(2):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            ports.append(taken.getsockname()[1])
    broker = RealBroker(folder, ports[0])
    (folder / "server.properties").write_text(
        "process.roles=broker,controller\nnode.id=1\n"
        f"controller.quorum.voters=1@127.0.0.1:{ports[1]}\ncontroller.listener.names=CONTROLLER\n"
        f"listeners=PLAINTEXT://127.0.0.1:{ports[0]},CONTROLLER://127.0.0.1:{ports[1]}\n"
        f"advertised.listeners=PLAINTEXT://127.0.0.1:{ports[0]}\n"
        f"log.dirs={folder / 'data'}\nnum.partitions=3\nlog.retention.check.interval.ms=500\n"
        "offsets.topic.replication.factor=1\noffsets.topic.num.partitions=1\ngroup.initial.rebalance.delay.ms=0\n"
        "transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n"
    )
    name = "4L6g3nShT-eMCtK--X86sw"  # any cluster id will do
    form = [*_java("128m"), "kafka.tools.StorageTool", "format", "-t", name, "-c", str(folder / "server.properties")]
    done = subprocess.run(form, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    broker.begin()
    try:
        yield broker
    finally:
        broker.end()


def _java(memory: str) -> list[str]:
    return ["java", f"-Xmx{memory}", "-cp", f"{os.environ['KAFKA_LIBS']}/*"]
