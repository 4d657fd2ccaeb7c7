import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from common.viewer.guard import Guard, new_token

HOST = "127.0.0.1:4000"
TOKEN = new_token()


@pytest.fixture
def client() -> TestClient:
    async def path(request: Request) -> PlainTextResponse:
        return PlainTextResponse(request.url.path)

    inner = Starlette(routes=[Route("/page", path, methods=["GET", "POST"])])
    return TestClient(Guard(inner, TOKEN, (HOST,)), base_url=f"http://{HOST}")


def test_the_page_is_at_the_address_with_the_token(client: TestClient) -> None:
    assert client.get(f"/{TOKEN}/page").text == "/page"
    assert client.post(f"/{TOKEN}/page", headers={"Origin": f"http://{HOST}"}).status_code == 200


@pytest.mark.parametrize(
    "path",
    ["/page", "/", f"/{TOKEN[:-1]}/page", f"/{TOKEN}x/page", "/é/page", f"//{TOKEN}/page"],
    ids=["no token", "nothing", "a shorter token", "a longer token", "letters", "a slash before"],
)
def test_without_the_token_everything_is_forbidden(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1:4001"},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": f"https://{HOST}"},
    ],
    ids=str,
)
def test_another_host_or_origin_is_forbidden_with_the_token_too(
    client: TestClient, headers: dict[str, str]
) -> None:
    assert client.get(f"/{TOKEN}/page", headers=headers).status_code == 403


def test_tokens_differ_and_are_long() -> None:
    assert len({new_token() for _ in range(100)}) == 100
    assert len(new_token()) >= 40
