"""The platform's side of its HTTP calls: wait until a server is healthy, then have it work on a case."""

import logging
import time
from http.client import HTTPConnection, HTTPException

from common.errors import InputError, MachineError

logger = logging.getLogger(__name__)

HEALTHY, DONE, BUSY = 200, 201, 409
HEALTHY_WITHIN = 300.0
CALL_WITHIN = 10.0
BETWEEN_CALLS = 1.0
"""Seconds that the platform allows from the start, for each call, and waits before the next."""


def invoke(host: str, port: int) -> str:
    """Wait until the server is healthy, have it work on the case that it finds, and return its line.

    Raises `InputError` where it refuses the case, `MachineError` where it is busy, fails, or does not get
    healthy in the platform's time.
    """
    start = time.monotonic()
    _wait_until_healthy(host, port, start + HEALTHY_WITHIN)
    logger.info("healthy after %.1f s", time.monotonic() - start)
    try:
        status, line = _call(host, port, "POST", "/invoke", None)
    except (OSError, HTTPException) as error:
        raise MachineError(f"POST /invoke: no answer ({error}); see the server's log") from error
    if status == DONE:
        return line
    reason = f"POST /invoke: {status}, expected {DONE}: {line.removeprefix('error: ')}"
    is_refusal = 400 <= status < 500 and status != BUSY
    raise InputError(reason) if is_refusal else MachineError(reason)


def _wait_until_healthy(host: str, port: int, deadline: float) -> None:
    while (found := _health(host, port)) != str(HEALTHY):
        if time.monotonic() + BETWEEN_CALLS >= deadline:
            raise MachineError(
                f"GET /health: {found}, expected {HEALTHY} within {HEALTHY_WITHIN:.0f} s; see the "
                "server's log"
            )
        time.sleep(BETWEEN_CALLS)


def _health(host: str, port: int) -> str:
    """The status, or why there is none: nothing listens yet, or the answer takes too long."""
    try:
        status, _ = _call(host, port, "GET", "/health", CALL_WITHIN)
    except (OSError, HTTPException) as error:
        return f"no answer ({error})"
    return str(status)


def _call(host: str, port: int, method: str, path: str, timeout: float | None) -> tuple[int, str]:
    """The status and the text of the answer."""
    connection = HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode().strip()
    finally:
        connection.close()
