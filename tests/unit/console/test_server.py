"""The console's server: what it hands out, what it passes on, and whom it refuses."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from local.console.served import Served, served
from local.console.server import ConsoleServer
from local.errors import LocalError
from tests.conftest import PATIENCE

SIGN_IN = "AWSCognitoIdentityProviderService.InitiateAuth"


@dataclass
class Upstream:
    """A control plane that answers every request with what it was asked."""

    url: str
    asked: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = {
                "method": self.command,
                "path": self.path,
                "headers": {name.lower(): value for name, value in self.headers.items()},
                "body": self.rfile.read(length).decode(),
            }
            seen.asked.append(self.path)
            content = json.dumps(body).encode()
            self.send_response(302 if self.path.endswith("/moved") else 409 if "taken" in self.path else 200)
            self.send_header("Location", "http://example.org/")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_POST = do_HEAD = do_DELETE = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        seen = Upstream(f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield seen
        server.shutdown()


@pytest.fixture(scope="module")
def console(upstream: Upstream) -> Iterator[ConsoleServer]:
    parts = Served(
        f"{upstream.url}/v1",
        f"{upstream.url}/",
        "ws://127.0.0.1:4566/socket/v1",
        "client",
        f"{upstream.url}/docs/",
    )
    with ConsoleServer(parts, 0) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> dict[str, str]:
        return dict(json.loads(self.text))


def ask(console: ConsoleServer, method: str, path: str, body: str | None = None, **headers: str) -> Answer:
    """A request as written: nothing of the path is tidied up."""
    connection = http.client.HTTPConnection("127.0.0.1", console.server_port, timeout=PATIENCE)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body=body, headers=named)
    response = connection.getresponse()
    answer = Answer(response.status, dict(response.headers), response.read().decode())
    connection.close()
    return answer


def test_the_outputs_of_the_stack_say_where_everything_is() -> None:
    outputs = {
        "ControlApiId": "api1",
        "SocketApiId": "sock1",
        "UserPoolClientId": "client1",
        "DocsBucket": "docs1",
    }
    assert served(outputs, "http://127.0.0.1:4566") == Served(
        api="http://127.0.0.1:4566/restapis/api1/v1/_user_request_",
        identity="http://127.0.0.1:4566/",
        socket="ws://127.0.0.1:4566/_aws/execute-api/sock1/v1",
        client_id="client1",
        data_docs="http://127.0.0.1:4566/docs1/data-docs/",
    )


def test_the_page_is_told_where_to_ask(console: ConsoleServer) -> None:
    assert ask(console, "GET", "/config.json").json == {
        "apiUrl": "/api",
        "identityUrl": "/identity",
        "socketUrl": "ws://127.0.0.1:4566/socket/v1",
        "clientId": "client",
        "dictionaryUrl": "/data-dictionary.md",
        "dataDocsUrl": "/data-docs/index.html",
    }


@pytest.mark.parametrize(
    ("path", "media"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/console.js", "text/javascript; charset=utf-8"),
        ("/console.css", "text/css; charset=utf-8"),
        ("/icon.svg", "image/svg+xml"),
        ("/data-dictionary.md", "text/plain; charset=utf-8"),
    ],
)
def test_files_have_their_types(console: ConsoleServer, path: str, media: str) -> None:
    answer = ask(console, "GET", path)
    assert (answer.status, answer.headers["Content-Type"]) == (200, media)


@pytest.mark.parametrize("path", ["/", "/nothing", "/api/exports"])
def test_every_answer_carries_the_policy(console: ConsoleServer, path: str) -> None:
    headers = ask(console, "GET", path).headers
    policy = headers["Content-Security-Policy"].split("; ")
    assert policy[:2] == ["default-src 'none'", "script-src 'self'"]
    assert "connect-src 'self' ws://127.0.0.1:4566" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in str(policy)
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "evil.example:80", "127.0.0.1.evil.example"])
def test_another_host_is_refused(console: ConsoleServer, upstream: Upstream, host: str) -> None:
    before = list(upstream.asked)
    for path in ("/", "/config.json", "/api/tables"):
        assert ask(console, "GET", path, Host=host).status == 421
    assert upstream.asked == before


def test_another_page_may_not_ask(console: ConsoleServer) -> None:
    assert ask(console, "POST", "/api/exports", "{}", Origin="http://evil.example").status == 403
    own = f"http://127.0.0.1:{console.server_port}"
    assert ask(console, "POST", "/api/exports", "{}", Origin=own).status == 200


def test_requests_of_the_api_are_passed_on_with_token_and_body(console: ConsoleServer) -> None:
    answer = ask(
        console, "POST", "/api/exports", '{"reason": "ü"}'.encode().decode("latin-1"),
        Authorization="token", Content_Type="application/json", Cookie="not=yours",
    )  # fmt: skip
    passed = json.loads(answer.text)
    assert (passed["method"], passed["path"], passed["body"]) == ("POST", "/v1/exports", '{"reason": "ü"}')
    assert passed["headers"]["authorization"] == "token"
    assert passed["headers"]["content-type"] == "application/json"
    assert "cookie" not in passed["headers"]
    assert ask(console, "GET", "/api/exports?status=FAILED").json["path"] == "/v1/exports?status=FAILED"


def test_refusals_of_the_api_come_back_as_they_are(console: ConsoleServer) -> None:
    assert ask(console, "GET", "/api/exports/taken").status == 409


def test_a_token_does_not_follow_a_redirect(console: ConsoleServer) -> None:
    assert ask(console, "GET", "/api/moved", Authorization="token").status == 302


@pytest.mark.parametrize(
    "path",
    ["/api/../secret", "/api/%2e%2e/secret", "/api", "/apix", "/api//x", "/../pyproject.toml", "/README.md"],
)
def test_no_path_leads_elsewhere(console: ConsoleServer, upstream: Upstream, path: str) -> None:
    before = list(upstream.asked)
    assert ask(console, "GET", path).status == 404
    assert upstream.asked == before


def test_signing_in_is_passed_on_and_nothing_else_of_the_user_pool(
    console: ConsoleServer, upstream: Upstream
) -> None:
    answer = ask(console, "POST", "/identity", "{}", X_Amz_Target=SIGN_IN)
    assert json.loads(answer.text)["headers"]["x-amz-target"] == SIGN_IN
    before = list(upstream.asked)
    for target in ("AWSCognitoIdentityProviderService.AdminCreateUser", "DynamoDB_20120810.Scan", ""):
        assert ask(console, "POST", "/identity", "{}", X_Amz_Target=target).status == 403
    assert upstream.asked == before


def test_data_docs_come_from_their_bucket_and_run_nothing(console: ConsoleServer, upstream: Upstream) -> None:
    answer = ask(console, "GET", "/data-docs/tables/patient.html")
    assert (answer.status, answer.json["path"]) == (200, "/docs/tables/patient.html")
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "script-src" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    asked = ask(console, "HEAD", "/data-docs/index.html")
    assert (asked.status, asked.text) == (200, "")
    before = list(upstream.asked)
    for path in (
        "/data-docs/",
        "/data-docs/../lake/x.html",
        "/data-docs/%2e%2e/x.html",
        "/data-docs//x.html",
        "/data-docs/x.js",
    ):
        assert ask(console, "GET", path).status == 404
    assert upstream.asked == before


def test_bodies_are_small(console: ConsoleServer) -> None:
    assert ask(console, "POST", "/api/exports", None, Content_Length="65537").status == 413


def test_what_the_api_deletes_is_passed_on_and_nothing_else(
    console: ConsoleServer, upstream: Upstream
) -> None:
    deleted = ask(console, "DELETE", "/api/analysts/1", Authorization="token")
    assert (deleted.json["method"], deleted.json["path"]) == ("DELETE", "/v1/analysts/1")
    before = list(upstream.asked)
    for path in ("/identity", "/config.json", "/data-docs/index.html"):
        assert ask(console, "DELETE", path).status == 404
    assert ask(console, "DELETE", "/api/analysts/1", Origin="http://evil.example").status == 403
    assert upstream.asked == before


def test_a_stack_that_is_down_is_said_in_the_apis_shape() -> None:
    with ConsoleServer(
        Served("http://127.0.0.1:1", "http://127.0.0.1:1/", "ws://x", "c", "http://127.0.0.1:1/docs/"), 0
    ) as down:
        threading.Thread(target=down.serve_forever, args=(0.01,), daemon=True).start()
        answer = ask(down, "GET", "/api/tables")
        down.shutdown()
    assert (answer.status, answer.json["code"]) == (502, "Bad Gateway")


def test_it_listens_on_this_machine_alone_and_says_when_a_port_is_taken(console: ConsoleServer) -> None:
    assert console.server_address[0] == "127.0.0.1"
    with pytest.raises(LocalError, match="--port"):
        ConsoleServer(console.served, console.server_port)
