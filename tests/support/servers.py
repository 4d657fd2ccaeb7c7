"""`petct serve` in a process of its own, on a free port, with an algorithm or with toy cases."""

import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple

from tests.support.platform import REPOSITORY

TIMEOUT = 60.0


class Answer(NamedTuple):
    status: int
    line: str
    seconds: float


class Server:
    """A running server; its streams go to files."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self.process = process
        self._folder = folder
        self.port = int(self._wait_for(r"listening at http://127\.0\.0\.1:(\d+)"))

    @property
    def stdout(self) -> str:
        return (self._folder / "stdout.txt").read_text()

    @property
    def stderr(self) -> str:
        return (self._folder / "stderr.txt").read_text()

    @property
    def last_line(self) -> str:
        """What the platform shows its user."""
        return self.stderr.rstrip().splitlines()[-1]

    def call(self, method: str, path: str) -> Answer:
        start = time.monotonic()
        connection = HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        return Answer(answer.status, text.removesuffix("\n"), time.monotonic() - start)

    def health(self) -> Answer:
        return self.call("GET", "/health")

    def invoke(self) -> Answer:
        return self.call("POST", "/invoke")

    @contextmanager
    def invoked(self) -> Iterator[Future[Answer]]:
        """The answer to come of an invoke that has begun."""
        with ThreadPoolExecutor(1) as thread:
            yield thread.submit(self.invoke)

    def wait_until_healthy(self) -> Answer:
        """The last answer of an unhealthy server, or the first of a healthy one."""
        deadline = time.monotonic() + TIMEOUT
        while (answer := self.health()).status != 200:
            assert time.monotonic() < deadline, self.stderr
            time.sleep(0.02)
        return answer

    def terminate(self, *, group: bool = False) -> tuple[int, float]:
        """The exit code after SIGTERM, and the seconds until it was there.

        The platform's runner sends it to the group: to both the server's processes.
        """
        start = time.monotonic()
        (os.killpg if group else os.kill)(self.process.pid, signal.SIGTERM)
        return self.wait(), time.monotonic() - start

    def wait(self) -> int:
        """The exit code."""
        return self.process.wait(TIMEOUT)

    def memory(self) -> int:
        """Resident bytes of both its processes."""
        return sum(_resident(process) for process in (self.process.pid, *_children(self.process.pid)))

    def _wait_for(self, expression: str) -> str:
        """The group of the first match on stdout."""
        deadline = time.monotonic() + TIMEOUT
        while True:
            ended = self.process.poll()
            if match := re.search(expression, self.stdout):
                return match[1]
            assert ended is None, self.stderr
            assert time.monotonic() < deadline, self.stderr
            time.sleep(0.02)


@contextmanager
def running(folder: Path, *arguments: object, module: str = "common.cli.main") -> Iterator[Server]:
    """A server whose streams `folder` takes; ended with the block."""
    command = [sys.executable, "-m", module, "serve", *map(str, arguments), "--port", "0"]
    with (folder / "stdout.txt").open("wb") as news, (folder / "stderr.txt").open("wb") as errors:
        process = subprocess.Popen(
            command, stdout=news, stderr=errors, cwd=REPOSITORY, start_new_session=True
        )
    try:
        yield Server(process, folder)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def running_toy(folder: Path, *, prepare: str = "nothing") -> Iterator[Server]:
    """A server of `tests.support.toy_cases`, whose steps `folder` says."""
    told(folder, prepare=prepare)
    with running(
        folder, "nnunet", "--input", folder, "--output", folder, module="tests.support.toy_cases"
    ) as server:
        yield server


def told(folder: Path, **steps: str) -> None:
    """What the toy does when its step begins next."""
    for name, step in steps.items():
        (folder / name).write_text(step)


def _children(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def _resident(process: int) -> int:
    _, pages, *_ = Path(f"/proc/{process}/statm").read_text().split()
    return int(pages) * resource.getpagesize()
