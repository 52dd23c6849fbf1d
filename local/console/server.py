"""Serves the console to this machine alone, and passes its requests on to the control plane."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, replace
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from infra.console_page import API_PATH, CONFIG, INDEX, TYPES, page_files
from local.console.served import (
    DATA_DOCS_PATH,
    IDENTITY_PATH,
    Served,
    document_headers,
)
from local.errors import LocalError

_JSON: Final = "application/json"
_MAX_BODY: Final = 64 * 1024
_TIMEOUT_SECONDS: Final = 30

_API_REQUEST: Final = re.compile(API_PATH + r"((?:/[A-Za-z0-9_-]+)+(?:\?[^#]*)?)")
"""Paths of the API as its names and ids are: none leads out of it."""

_DOCUMENT: Final = re.compile(DATA_DOCS_PATH + r"((?:[A-Za-z0-9_-]+/)*[A-Za-z0-9_-]+(\.html|\.css|\.svg))")
"""A file of the data docs: no path leads out of their bucket."""

_SIGN_IN: Final = "AWSCognitoIdentityProviderService."
_SIGN_IN_ACTIONS: Final = frozenset(
    _SIGN_IN + action
    for action in (
        "InitiateAuth",
        "RespondToAuthChallenge",
        "AssociateSoftwareToken",
        "VerifySoftwareToken",
        "RevokeToken",
    )
)
"""What Cognito lets anybody ask; the emulator's other services and actions are not for the page."""

_PASSED_ON: Final = ("Authorization", "Content-Type", "X-Amz-Target")


@dataclass(frozen=True)
class Reply:
    """An answer to the browser; with headers of its own, or those of the page."""

    status: int
    media: str
    body: bytes
    headers: Mapping[str, str] | None = None


class ConsoleServer(ThreadingHTTPServer):
    """Listens on 127.0.0.1; port 0 takes a free one.

    Raises
    ------
    LocalError : the port is taken
    """

    daemon_threads = True

    def __init__(self, served: Served, port: int) -> None:
        self.served = served
        self.files = _files()
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except OSError as error:
            raise LocalError(
                f"The console cannot listen on port {port}: {error.strerror}.", "Choose another with --port."
            ) from None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names it answers to. Under any other a foreign page, whose name was made to lead here, would be
        taken for ours."""
        return (f"127.0.0.1:{self.server_port}", f"localhost:{self.server_port}")


def _files() -> dict[str, Path]:
    """The page's files by path; nothing else can be asked for."""
    files = page_files()
    return {**{f"/{name}": file for name, file in files.items()}, "/": files[INDEX]}


class _Handler(BaseHTTPRequestHandler):
    server: ConsoleServer

    def do_GET(self) -> None:
        self._send(self._refusal() or self._found())

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        self._send(self._refusal() or self._posted())

    def do_DELETE(self) -> None:
        self._send(self._refusal() or self._passed_to_api(None))

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the gateway keeps the log."""

    def _refusal(self) -> Reply | None:
        host, origin = self.headers.get("Host"), self.headers.get("Origin")
        if host not in self.server.hosts:
            return _refused(HTTPStatus.MISDIRECTED_REQUEST, f"This is {self.server.url}")
        if origin not in (None, f"http://{host}"):
            return _refused(HTTPStatus.FORBIDDEN, "Only the console's own page may ask")
        return None

    def _found(self) -> Reply:
        if self.path == f"/{CONFIG}":
            return Reply(HTTPStatus.OK, _JSON, json.dumps(self.server.served.config()).encode())
        file = self.server.files.get(self.path)
        if file is not None:
            return Reply(HTTPStatus.OK, TYPES[file.suffix], file.read_bytes())
        document = _DOCUMENT.fullmatch(self.path)
        if document is not None:
            reply = self._passed_on(self.server.served.data_docs + document[1], None)
            # What the job wrote, the bucket knows as bytes.
            media = TYPES[document[2]] if reply.status == HTTPStatus.OK else reply.media
            return replace(reply, headers=document_headers(), media=media)
        return self._passed_to_api(None)

    def _posted(self) -> Reply:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > _MAX_BODY:
            return _refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A body has {_MAX_BODY} bytes at most")
        body = self.rfile.read(int(length))
        if self.path != IDENTITY_PATH:
            return self._passed_to_api(body)
        if self.headers.get("X-Amz-Target") not in _SIGN_IN_ACTIONS:
            return _refused(HTTPStatus.FORBIDDEN, "Only signing in is passed on")
        return self._passed_on(self.server.served.identity, body)

    def _passed_to_api(self, body: bytes | None) -> Reply:
        asked = _API_REQUEST.fullmatch(self.path)
        if asked is None:
            return _refused(HTTPStatus.NOT_FOUND, "There is nothing here")
        return self._passed_on(self.server.served.api + asked[1], body)

    def _passed_on(self, url: str, body: bytes | None) -> Reply:
        headers = {name: self.headers[name] for name in _PASSED_ON if name in self.headers}
        request = urllib.request.Request(url, data=body, headers=headers, method=self.command)
        try:
            with _OPENER.open(request, timeout=_TIMEOUT_SECONDS) as response:
                return Reply(response.status, _media(response.headers), response.read())
        except urllib.error.HTTPError as refusal:
            return Reply(refusal.code, _media(refusal.headers), refusal.read())
        except OSError:
            return _refused(HTTPStatus.BAD_GATEWAY, "The control plane does not answer; is the stack up?")

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in (reply.headers or self.server.served.headers()).items():
            self.send_header(name, value)
        self.send_header("Content-Type", reply.media)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Tokens go where they were meant to go, and nowhere on."""

    def redirect_request(self, *_: object) -> None:
        return None


_OPENER: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)


def _media(headers: Message) -> str:
    return str(headers["Content-Type"] or _JSON)


def _refused(status: HTTPStatus, message: str) -> Reply:
    """A refusal in the API's own shape."""
    body = {"message": message, "code": status.phrase, "request_id": ""}
    return Reply(status, _JSON, json.dumps(body).encode())
