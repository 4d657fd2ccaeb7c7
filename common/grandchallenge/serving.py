"""The platform's HTTP calls, by which a container that is running works on one case after the other.

`GET /health` is answered with 200 once a case may come, with 503 before. `POST /invoke` works on what lies in
the input folder then: 201 when the mask is written, 422 for a wrong input, 503 for a machine that could not,
500 for the rest; 409 while another case is at work. The body is one line; stderr gets it, too, if it says why
there is no mask.
Source: grand-challenge.org's documentation of algorithm containers, API method "invoke".
"""

import asyncio
import logging
import signal
import socket
import sys
import threading
import time
from types import FrameType

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from common.errors import InputError, MachineError, ModelError
from common.grandchallenge.case_process import CaseProcess, Cases, Outcome

logger = logging.getLogger(__name__)

HEALTHY, DONE, BUSY, FAILED, UNABLE = 200, 201, 409, 500, 503
STATUSES = {0: DONE, InputError.exit_code: 422, MachineError.exit_code: UNABLE}
"""Exit code of a process for the case alone → status of the answer, if not `FAILED`."""
ERRORS = {error.exit_code: error for error in (InputError, ModelError, MachineError)}


def serve(cases: Cases, host: str, port: int, healthy_by: float) -> None:
    """Answer the platform's calls until a signal comes; `cases` are worked on in another process.

    Healthy when that is prepared, and at `healthy_by` (`time.monotonic`) in any case. Raises what the
    preparation raises, and `MachineError` for a port that is taken, a process that ended by itself, and a
    case that the signal ended.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    process = CaseProcess(cases)
    try:
        with _listen(host, port) as listener:
            server = CaseServer(process, healthy_by)
            signal.signal(signal.SIGTERM, server.handle_exit)  # until the server does so, when it runs
            server.run([listener])
    finally:
        process.stop()
    if server.failure:
        raise ERRORS.get(server.failure.exit_code, RuntimeError)(server.failure.line)


def _listen(host: str, port: int) -> socket.socket:
    try:
        listener = socket.create_server((host, port))
    except OSError as error:
        raise MachineError(
            f"{host}:{port}: cannot be listened at ({error.strerror}); choose another --host or --port"
        ) from error
    logger.info("listening at http://%s:%d", *listener.getsockname())
    return listener


class CaseServer(uvicorn.Server):
    """Answers for a process that works on cases."""

    def __init__(self, process: CaseProcess, healthy_by: float) -> None:
        routes = [Route("/health", self._health), Route("/invoke", self._invoke, methods=["POST"])]
        super().__init__(
            uvicorn.Config(
                Starlette(routes=routes),
                lifespan="off",
                access_log=False,
                log_config=None,
                log_level=logging.WARNING,
                timeout_graceful_shutdown=3,
            )
        )
        self.failure: Outcome | None = None
        """Why it ended, if not because it was told to while no case was at work."""
        self._process = process
        self._healthy_by = healthy_by
        self._is_prepared = False
        self._is_busy = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer from now on, while the process prepares."""
        self._preparation = asyncio.create_task(self._wait_until_prepared())
        await super().startup(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End the process, and with it the case at work, whose call is answered then."""
        threading.Thread(target=self._process.stop).start()
        if sig == signal.SIGTERM:
            self.should_exit = True  # uvicorn would raise the signal once more at the end
        else:
            super().handle_exit(sig, frame)

    async def _wait_until_prepared(self) -> None:
        outcome = await asyncio.to_thread(self._process.wait_until_prepared)
        if outcome.exit_code == 0:
            self._is_prepared = True
        elif self._process.is_stopped:
            self.should_exit = True
        else:
            self._end(outcome)

    async def _health(self, _: Request) -> PlainTextResponse:
        if self._is_prepared or time.monotonic() >= self._healthy_by:
            return _answer(HEALTHY, "ready")
        return _answer(UNABLE, "not ready yet")

    async def _invoke(self, _: Request) -> PlainTextResponse:
        start = time.monotonic()
        if self._is_busy:
            return self._refuse(BUSY, "another case is at work; invoke when it is done")
        self._is_busy = True
        try:
            await asyncio.shield(self._preparation)
            outcome = await asyncio.to_thread(self._process.work, start)
        finally:
            self._is_busy = False
        if outcome.exit_code == 0:
            return _answer(DONE, outcome.line)
        if self._process.has_ended:
            self._end(outcome)
        return self._refuse(STATUSES.get(outcome.exit_code, FAILED), outcome.line)

    def _refuse(self, status: int, reason: str) -> PlainTextResponse:
        line = f"error: {reason}"
        if self.failure is None:  # else it is the command's last line
            sys.stderr.write(f"{line}\n")
        return _answer(status, line)

    def _end(self, failure: Outcome) -> None:
        self.failure = failure
        self.should_exit = True


def _answer(status: int, line: str) -> PlainTextResponse:
    return PlainTextResponse(f"{line}\n", status)
