"""`docker/release/watch.py` in a conversation as the platform's serializers write it, by TLS on loopback."""

import json
import os
import ssl
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.docker.conftest import ROOT

CONVERSATION = Path(__file__).with_name("conversation.json")
SCRIPT = ROOT / "docker/release/watch.py"
HOST = "127.0.0.1"


def page(results):
    return {"count": len(results), "next": None, "previous": None, "results": results}


class Platform:
    """Answers what the conversation has next; anything else is a 500, and kept."""

    def __init__(self, certificate, conversation, last):
        self.left = list(conversation)
        self.last = last
        self.unexpected = []
        self.tokens: set[str | None] = set()
        platform = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                platform.tokens.add(self.headers["Authorization"])
                status, body = platform.answer(self.path)
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                return

        self.server = ThreadingHTTPServer((HOST, 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.address = f"https://{HOST}:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, path):
        if not self.left or self.left[0]["get"] != path:
            self.unexpected.append(path)
            return 500, {"detail": f"not expected: {path}"}
        step = self.left.pop(0)
        if "images" in step:
            body = page([self.image(*entry) for entry in step["images"].items()])
        else:
            body = step.get("body", {"detail": "sorry"})
        return step.get("status", 200), json.loads(self.filled(json.dumps(body)))

    def image(self, name, status):
        page, api = "{platform}/algorithms/lesions/images", "{platform}/api/v1/algorithms"
        return {
            "pk": name,
            "url": f"{page}/{name}/",
            "api_url": f"{api}/images/{name}/",
            "algorithm": f"{api}/1a/",
            "created": "2026-02-01T10:00:00Z" if name == "new" else "2026-01-01T10:00:00Z",
            "import_status": status,
            "image": None,
        }

    def filled(self, text):
        return text.replace("{platform}", self.address).replace("{last}", self.last)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """For the loopback address, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("certificate") / "platform.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(built.public_bytes(serialization.Encoding.PEM) + private)
    return path


@pytest.fixture(scope="module")
def python():
    """The interpreter with the platform's client, as `export.sh` makes it."""
    script = (
        "source docker/lib.sh && source docker/venv.sh && "
        "VENV=$ROOT/build/release && provide_packages docker/release && echo $VENV/bin/python"
    )
    made = subprocess.run(["bash", "-euc", script], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return made.stdout.strip()


@pytest.fixture
def platform(certificate):
    servers = []

    def start(steps=None, last="Completed"):
        servers.append(Platform(certificate, json.loads(CONVERSATION.read_text())[:steps], last))
        return servers[-1]

    yield start
    for started in servers:
        started.server.shutdown()


@pytest.fixture
def watch(python, certificate):
    def run(platform, *options, slug="lesions", token="secret"):  # noqa: S107
        return subprocess.run(
            [python, SCRIPT, slug, "--platform", platform.address, "--every", "0.05", *options],
            env=os.environ | {"SSL_CERT_FILE": str(certificate), "GRAND_CHALLENGE_AUTHORIZATION": token},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_an_image_is_followed_until_the_platform_has_taken_it(platform, watch):
    there = platform()
    ended = watch(there)
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert [line.rpartition(": ")[2] for line in lines[2:]] == [
        "waiting for the upload",
        "Queued",
        "Started",
        "Completed",
    ]
    assert lines[0] == f"the model: {there.address}/algorithms/lesions/models/create/"
    assert lines[1] == f"the image: {there.address}/algorithms/lesions/images/create/"
    assert not there.left
    assert not there.unexpected


def test_the_token_is_sent_as_the_platform_wants_it(platform, watch):
    there = platform()
    watch(there, token="secret")  # noqa: S106
    assert "BEARER secret" in there.tokens


@pytest.mark.parametrize("last", ["Failed", "Cancelled"])
def test_an_image_that_is_refused_is_exit_code_1_and_its_page_says_why(platform, watch, last):
    there = platform(last=last)
    ended = watch(there)
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert f"{there.address}/algorithms/lesions/images/new/ says why" in line


def test_an_image_that_does_not_come_is_exit_code_1(platform, watch):
    there = platform(4)
    there.left += 500 * json.loads(CONVERSATION.read_text())[2:4]
    ended = watch(there, "--at-most", "0.5")
    assert ended.returncode == 1
    assert "the last status was: waiting for the upload" in ended.stderr


def test_an_algorithm_that_is_not_there_is_exit_code_2_and_one_line(platform, watch):
    there = platform(1)
    there.left.append({"get": "/api/v1/algorithms/?slug=nothing&offset=0&limit=100", "body": page([])})
    ended = watch(there, slug="nothing")
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert "shows no algorithm 'nothing' to this token" in line


def test_a_token_that_is_not_valid_is_exit_code_2_and_one_line(platform, watch):
    there = platform(2)
    there.left[1]["status"] = 401
    ended = watch(there)
    assert ended.returncode == 2
    assert ended.stderr == f"error: {there.address} answered 401; give a valid token\n"


def test_a_platform_that_does_not_answer_is_exit_code_2_and_one_line(platform, watch):
    there = platform()
    there.server.shutdown()
    there.server.server_close()
    ended = watch(there)
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert "does not answer" in line
