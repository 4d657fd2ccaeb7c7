"""Who may talk to the page's server: a browser here, at the address with the token, from the page itself."""

import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.responses import PlainTextResponse

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

FORBIDDEN = 403


def new_token() -> str:
    """What nobody guesses."""
    return secrets.token_urlsafe(32)


class Guard:
    """An application at `/TOKEN/`, for requests whose Host, and Origin if they have one, is this server's.

    The Host keeps out pages that a stranger's name server leads here, the Origin those that send forms, the
    token everybody else, other users of this machine among them.
    """

    def __init__(self, app: App, token: str, hosts: tuple[str, ...]) -> None:
        self._app = app
        self._token = token
        self._hosts = hosts

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer, or refuse with 403."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        token, _, rest = scope["path"].removeprefix("/").partition("/")
        origins = ("", *(f"http://{host}" for host in self._hosts))
        is_ours = headers.get("host") in self._hosts and headers.get("origin", "") in origins
        if not (is_ours and secrets.compare_digest(token.encode(), self._token.encode())):
            await PlainTextResponse("forbidden", FORBIDDEN)(scope, receive, send)
            return
        await self._app({**scope, "path": f"/{rest}", "raw_path": f"/{rest}".encode()}, receive, send)
