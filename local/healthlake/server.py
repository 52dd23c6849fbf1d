"""The HTTP server: requests in, replies out."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from local.healthlake import DATASTORE_ID
from local.healthlake.api import Api, Reply
from local.healthlake.exports import RESOURCES_PER_FILE, Announce, Exports, Objects
from local.healthlake.faults import FaultPlan
from local.healthlake.imports import Imports, Source
from local.healthlake.notices import Notify, Subscriptions, Trail
from local.healthlake.quotas import Quotas
from local.healthlake.store import Store
from local.healthlake.wire import Request


class Buckets(Objects, Source, Protocol):
    """S3: where exports go and imports come from."""


@dataclass
class Simulator:
    """The simulator in this process: `start` it, use `url`, `stop` it."""

    server: ThreadingHTTPServer
    exports: Exports
    store: Store
    faults: FaultPlan
    datastore_id: str
    api: Api

    def tell(self, trail: Trail, notify: Notify) -> None:
        """Give `trail` CloudTrail's events of calls, and `notify` what subscriptions ask for."""
        self.api.trail = trail
        self.store.on_commit = Subscriptions(self.store, notify).changed

    @property
    def url(self) -> str:
        """`http://127.0.0.1:<port>`."""
        host, port = self.server.server_address[:2]
        return f"http://{host!s}:{port}"

    def start(self) -> None:
        """Serve from threads of its own."""
        self.exports.start()
        threading.Thread(
            target=self.server.serve_forever, args=(0.1,), name="healthlake", daemon=True
        ).start()

    def stop(self) -> None:
        """Serve no more. The state stays."""
        self.server.shutdown()
        self.server.server_close()
        self.exports.stop()


def simulator(
    state: Path,
    objects: Buckets,
    announce: Announce,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    datastore_id: str = DATASTORE_ID,
    resources_per_file: int = RESOURCES_PER_FILE,
    quotas: Quotas | None = None,
) -> Simulator:
    """A simulator that keeps its state in the folder `state` and listens on `port` (0: any free one)."""
    state.mkdir(parents=True, exist_ok=True)
    store, faults = Store(state / "resources.sqlite"), FaultPlan()
    exports = Exports(
        state / "exports.sqlite",
        store,
        objects,
        announce,
        faults,
        datastore_id=datastore_id,
        resources_per_file=resources_per_file,
    )
    imports = Imports(store, objects)
    api = Api(store, exports, imports, faults, quotas or Quotas(), datastore_id=datastore_id)
    server = ThreadingHTTPServer((host, port), _handler(api))
    server.daemon_threads = True
    return Simulator(server, exports, store, faults, datastore_id, api)


def _handler(api: Api) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Headers and body leave in two writes; Nagle would hold back the second.
        disable_nagle_algorithm = True

        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length) if length else b""
            address = urlsplit(self.path)
            # The request line of an HTTP message has no authority to split off, so a path may begin with //.
            request = Request(self.command, unquote(address.path), address.query, self.headers, body)  # type: ignore[arg-type]
            self.send(api.answer(request))

        def send(self, reply: Reply) -> None:
            if reply.drop:
                self.close_connection = True
                return
            content = reply.body.encode()
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.status != 204:
                self.send_header("Content-Type", reply.content_type)
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if reply.status != 204:
                self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """No access log: paths hold resource ids."""

        do_GET = do_POST = do_PUT = do_DELETE = answer

    return Handler
