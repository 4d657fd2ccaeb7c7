"""The platform's calls, answered by the whole command for toy cases."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.platform import REPOSITORY
from tests.support.servers import Server, running_toy, told

ANSWERS_WITHIN = 1.0
ENDS_WITHIN = 5.0
KILLED = "error: the process of the cases was killed, as when memory runs out; use a machine with more"


to_whom = pytest.mark.parametrize("group", [False, True], ids=["server alone", "whole group"])


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A healthy one."""
    with running_toy(tmp_path) as server:
        server.wait_until_healthy()
        yield server


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 10
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_health_is_503_until_all_is_prepared_and_200_then(tmp_path: Path) -> None:
    with running_toy(tmp_path, prepare="take a second") as server:
        assert server.health()[:2] == (503, "not ready yet")
        assert server.wait_until_healthy()[:2] == (200, "ready")


def test_health_is_answered_within_a_second_while_native_code_holds_the_interpreter(tmp_path: Path) -> None:
    with running_toy(tmp_path, prepare="hold the interpreter") as server:
        wait_for(tmp_path / "began")
        answers = [server.health() for _ in range(5)]
        assert {answer.status for answer in answers} == {503}
        assert max(answer.seconds for answer in answers) < ANSWERS_WITHIN


def test_what_is_not_ready_in_time_is_left_for_the_first_case(tmp_path: Path) -> None:
    (tmp_path / "healthy_by").write_text("0")
    told(tmp_path, work="nothing")
    with running_toy(tmp_path, prepare="take a second") as server:
        assert server.health().status == 200
        answer = server.invoke()
        assert answer.status == 201
        assert 0.3 < float(answer.line.split()[2]) <= answer.seconds, "the case's clock starts at the call"


def test_a_case_that_is_done_is_201_and_leaves_stderr_empty(server: Server, tmp_path: Path) -> None:
    told(tmp_path, work="nothing")
    status, line, _ = server.invoke()
    assert status == 201
    assert line.startswith("work done, 0.")
    assert server.stderr == ""


@pytest.mark.parametrize(
    ("step", "status", "line"),
    [
        ("refuse input", 422, "error: images/pet: 0 images"),
        ("refuse model", 500, "error: model.json: altered"),
        ("refuse machine", 503, "error: 2 GiB are free"),
        ("run out of memory", 503, "error: memory ran out (unable to allocate); use a machine with more"),
        ("have a bug", 500, "error: KeyError: 'voxel'"),
    ],
)
def test_a_failed_case_is_one_line_in_the_body_and_on_stderr_and_the_next_one_runs(
    server: Server, tmp_path: Path, step: str, status: int, line: str
) -> None:
    told(tmp_path, work=step)
    assert server.invoke()[:2] == (status, line)
    assert server.last_line == line
    assert ("Traceback" in server.stderr) == (step == "have a bug")
    told(tmp_path, work="nothing")
    assert server.invoke().status == 201


def test_a_second_invoke_during_the_first_is_409(server: Server, tmp_path: Path) -> None:
    told(tmp_path, work="hold the interpreter")
    with server.invoked() as first:
        wait_for(tmp_path / "began")
        second = server.invoke()
        assert not first.done()
    assert second.status == 409
    assert second.seconds < ANSWERS_WITHIN
    assert "another case is at work" in second.line
    assert first.result().status == 201
    assert server.invoke().status == 201


def test_invoke_takes_post_alone(server: Server) -> None:
    assert server.call("GET", "/invoke").status == 405


@to_whom
def test_sigterm_ends_an_idle_server_at_once(server: Server, *, group: bool) -> None:
    code, seconds = server.terminate(group=group)
    assert (code, server.stderr) == (0, "")
    assert seconds < ENDS_WITHIN


@pytest.mark.parametrize("delay", [0, 0.02, 0.05, 0.1])
def test_sigterm_ends_a_server_at_any_moment_from_when_it_listens(tmp_path: Path, delay: float) -> None:
    with running_toy(tmp_path) as server:
        time.sleep(delay)
        code, seconds = server.terminate(group=True)
        assert (code, server.stderr) == (0, "")
        assert seconds < ENDS_WITHIN


@to_whom
def test_sigterm_ends_a_server_that_prepares(tmp_path: Path, *, group: bool) -> None:
    with running_toy(tmp_path, prepare="hold the interpreter") as server:
        wait_for(tmp_path / "began")
        code, seconds = server.terminate(group=group)
        assert (code, server.stderr) == (0, "")
        assert seconds < ENDS_WITHIN


@to_whom
def test_sigterm_ends_a_case_in_native_code_with_one_line(
    server: Server, tmp_path: Path, *, group: bool
) -> None:
    told(tmp_path, work="hold the interpreter")
    with server.invoked() as case:
        wait_for(tmp_path / "began")
        code, seconds = server.terminate(group=group)
    assert code == 4
    assert seconds < ENDS_WITHIN
    (line,) = server.stderr.splitlines()
    assert line == "error: the case was ended before its mask was there: petct serve was told to stop"
    assert case.result()[:2] == (503, line)


def test_sigterm_leaves_no_unfinished_file(server: Server, tmp_path: Path) -> None:
    told(tmp_path, work="write slowly")
    with server.invoked():
        wait_for(tmp_path / ".unfinished")
        assert server.terminate()[0] == 4
    assert not (tmp_path / ".unfinished").exists()


def test_a_killed_case_is_503_and_ends_the_server_with_exit_code_4(server: Server, tmp_path: Path) -> None:
    told(tmp_path, work="be killed")
    status, line, _ = server.invoke()
    assert status == 503
    assert line == KILLED
    assert server.wait() == 4
    assert server.stderr == f"{line}\n"


@pytest.mark.parametrize(
    ("step", "code", "line"),
    [
        ("refuse model", 3, "error: model.json: altered"),
        ("refuse machine", 4, "error: 2 GiB are free"),
        ("have a bug", 1, "RuntimeError: KeyError: 'voxel'"),
        (
            "be killed",
            4,
            "error: the process of the cases was killed, as when memory runs out; use a machine with more",
        ),
    ],
)
def test_a_preparation_that_fails_ends_the_server(tmp_path: Path, step: str, code: int, line: str) -> None:
    with running_toy(tmp_path, prepare=step) as server:
        assert server.wait() == code
        assert server.last_line == line


def test_a_port_that_is_taken_is_exit_code_4_and_one_line(server: Server, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.support.toy_cases", "serve", "nnunet", "--input", str(tmp_path)]
    command += ["--port", str(server.port)]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, timeout=60)
    assert ended.returncode == 4
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"error: 127.0.0.1:{server.port}: cannot be listened at")
