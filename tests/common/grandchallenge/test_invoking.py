"""The platform's side of the calls, against real servers of toy cases."""

import socket
import time
from pathlib import Path

import pytest

from common.errors import InputError, MachineError
from common.grandchallenge import invoking
from common.grandchallenge.invoking import invoke
from tests.support.platform import refused
from tests.support.servers import running_toy, told

HOST = "127.0.0.1"


@pytest.fixture(autouse=True)
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invoking, "BETWEEN_CALLS", 0.05)


def free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        return listener.getsockname()[1]


def test_it_waits_until_the_server_is_healthy_and_returns_the_line(tmp_path: Path) -> None:
    told(tmp_path, work="nothing")
    with running_toy(tmp_path, prepare="take a second") as server:
        assert server.health().status == 503
        assert invoke(HOST, server.port).startswith("work done")


def test_a_wrong_case_is_an_input_error_and_any_other_failure_a_machine_error(tmp_path: Path) -> None:
    with running_toy(tmp_path) as server:
        told(tmp_path, work="refuse input")
        with refused("POST /invoke: 422, expected 201: images/pet: 0 images", error=InputError):
            invoke(HOST, server.port)
        told(tmp_path, work="refuse model")
        with refused("POST /invoke: 500, expected 201: model.json: altered", error=MachineError):
            invoke(HOST, server.port)


def test_a_busy_server_is_a_machine_error(tmp_path: Path) -> None:
    told(tmp_path, work="take a second")
    with running_toy(tmp_path) as server:
        server.wait_until_healthy()
        with server.invoked():
            time.sleep(0.2)
            with refused("POST /invoke: 409", "another case", error=MachineError):
                invoke(HOST, server.port)


def test_a_server_that_ends_during_the_case_is_a_machine_error(tmp_path: Path) -> None:
    told(tmp_path, work="be killed")
    with running_toy(tmp_path) as server, refused("POST /invoke: 503", "killed", error=MachineError):
        invoke(HOST, server.port)


def test_a_server_that_does_not_get_healthy_in_time_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invoking, "HEALTHY_WITHIN", 0.3)
    with (
        running_toy(tmp_path, prepare="take a second") as server,
        refused("GET /health: 503, expected 200 within", error=MachineError),
    ):
        invoke(HOST, server.port)


def test_a_server_that_is_not_there_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invoking, "HEALTHY_WITHIN", 0.3)
    with refused("GET /health: no answer", "refused", error=MachineError):
        invoke(HOST, free_port())


def test_a_call_that_is_not_answered_in_time_counts_as_unhealthy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invoking, "HEALTHY_WITHIN", 0.3)
    monkeypatch.setattr(invoking, "CALL_WITHIN", 0.1)
    with (
        socket.create_server((HOST, 0)) as listener,
        refused("GET /health: no answer (timed out)", error=MachineError),
    ):
        invoke(HOST, listener.getsockname()[1])
