"""The page's server: its files, the case's images, clicks, and the mask, on this machine alone."""

import logging
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from common.errors import PetctError
from common.viewer.assets import NIIVUE, PAGE
from common.viewer.desk import Desk
from common.viewer.guard import Guard

HOST = "127.0.0.1"
FILES = {"": "index.html", "app.js": "app.js", "style.css": "style.css"}
UNPROCESSABLE = 422
FRESH = {"Cache-Control": "no-store"}


class LastLine(logging.Handler):
    """Remembers the log's last line, which says how far a case is."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.line = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.line = record.getMessage()


def application(desk: Desk, token: str, port: int) -> Guard:
    """The server's application at `/TOKEN/`; a failure that the user can act on is 422 with its one line."""
    progress = LastLine()
    logging.getLogger().addHandler(progress)

    async def niivue(_: Request) -> Response:
        return FileResponse(NIIVUE, media_type="text/javascript")

    async def image(request: Request) -> Response:
        path: Path | None = desk.images.get(request.path_params["name"])
        return FileResponse(path, headers=FRESH) if path else JSONResponse({"error": "no such image"}, 404)

    async def mask(_: Request) -> Response:
        return FileResponse(desk.mask_file, headers=FRESH)

    async def study(_: Request) -> Response:
        return JSONResponse({"images": list(desk.images), "clicks": desk.places()}, headers=FRESH)

    async def put_clicks(request: Request) -> Response:
        points = await request.json()
        return await _answer(lambda: desk.put_clicks(points))

    async def segment(_: Request) -> Response:
        return await _answer(desk.segment)

    async def save(_: Request) -> Response:
        return await _answer(lambda: [str(path) for path in desk.save()])

    async def projection(_: Request) -> Response:
        return Response(await run_in_threadpool(desk.projection), media_type="image/png", headers=FRESH)

    async def how_far(_: Request) -> Response:
        return JSONResponse({"line": progress.line}, headers=FRESH)

    routes = [
        *(Route(f"/{path}", _file(name)) for path, name in FILES.items()),
        Route("/niivue.js", niivue),
        Route("/images/{name:str}.nii", image),
        Route("/mask.nii", mask),
        Route("/study", study),
        Route("/clicks", put_clicks, methods=["PUT"]),
        Route("/segment", segment, methods=["POST"]),
        Route("/save", save, methods=["POST"]),
        Route("/projection.png", projection),
        Route("/progress", how_far),
    ]
    return Guard(Starlette(routes=routes), token, (f"{HOST}:{port}", f"localhost:{port}"))


def serve(desk: Desk, token: str, listener: socket.socket) -> None:
    """Answer until the process is interrupted."""
    app = application(desk, token, listener.getsockname()[1])
    configuration = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off")
    uvicorn.Server(configuration).run([listener])


def listen(port: int = 0) -> socket.socket:
    """A listener on the loopback address, at any free port unless one is named."""
    return socket.create_server((HOST, port))


def _file(name: str) -> Callable[[Request], Awaitable[Response]]:
    async def file(_: Request) -> Response:
        return FileResponse(PAGE / name, headers=FRESH)

    return file


async def _answer(work: Callable[[], Any]) -> Response:
    try:
        return JSONResponse(await run_in_threadpool(work))
    except PetctError as error:
        return JSONResponse({"error": str(error)}, UNPROCESSABLE)
