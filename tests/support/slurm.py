"""A real Slurm of one node on loopback: munged, slurmctld and slurmd from Debian's packages."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CONFIGURATION = Path("/etc/slurm/slurm.conf")
KEY = Path("/etc/munge/munge.key")
PROGRAMS = ("munged", "slurmctld", "slurmd", "srun", "sbatch")
WITHIN = 60.0
TEXT = """\
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory=4000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


@contextmanager
def slurm(folder: Path) -> Iterator[None]:
    """Jobs are taken meanwhile; skipped where that cannot be, which fails in CI."""
    if reason := _reason():
        (pytest.fail if "CI" in os.environ else pytest.skip)(f"skipped: {reason}")
    for name in ("state", "spool"):
        (folder / name).mkdir()
    host = socket.gethostname().partition(".")[0]
    text = TEXT.format(host=host, ports=_free_ports(2), folder=folder, cores=os.cpu_count())
    CONFIGURATION.parent.mkdir(parents=True, exist_ok=True)
    CONFIGURATION.write_text(text)
    _start_munge()
    daemons = [subprocess.Popen(command) for command in (["slurmctld", "-D"], ["slurmd", "-D", "-N", host])]
    try:
        _wait(folder)
        yield
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
            daemon.wait()
        CONFIGURATION.unlink()


def _reason() -> str | None:
    if os.getuid() != 0:
        return "Slurm's daemons want root"
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"{', '.join(missing)} not here (apt-get install slurm-wlm munge)"
    return "this machine has a Slurm of its own" if CONFIGURATION.exists() else None


def _free_ports(count: int) -> list[int]:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def _start_munge() -> None:
    """Unless it runs; it ends with the machine."""
    if subprocess.run(["munge", "-n"], check=False, capture_output=True).returncode == 0:
        return
    if not KEY.exists():
        KEY.write_bytes(os.urandom(1024))
        KEY.chmod(0o400)
        shutil.chown(KEY, "munge", "munge")
    for path in (Path("/run/munge"), Path("/var/log/munge")):
        path.mkdir(exist_ok=True)
        shutil.chown(path, "munge", "munge")
    subprocess.run(["runuser", "-u", "munge", "--", "munged"], check=True)


def _wait(folder: Path) -> None:
    """Until the node is idle."""
    deadline = time.monotonic() + WITHIN
    while True:
        asked = subprocess.run(
            ["sinfo", "--noheader", "--format=%T"], check=False, capture_output=True, text=True
        )
        if asked.stdout.strip() == "idle":
            return
        log = (folder / "slurmctld.log").read_text() if (folder / "slurmctld.log").exists() else asked.stderr
        assert time.monotonic() < deadline, log[-2000:]
        time.sleep(0.5)
