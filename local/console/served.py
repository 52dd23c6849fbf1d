"""What the console's page is told, and what it may load and connect to: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from infra.api.description import STAGE
from infra.console_page import API_PATH, DICTIONARY, content_security_policy

IDENTITY_PATH = "/identity"
DATA_DOCS_PATH = "/data-docs/"
DATA_DOCS_PAGE = "index.html"
"""Where the curate job writes what its audits found, in the docs bucket; there is none before its first run."""


@dataclass(frozen=True)
class Served:
    """Where the parts of a deployed control plane answer.

    Attributes
    ----------
    api : the REST API's URL, without a slash at its end
    identity : the user pools' endpoint
    socket : the WebSocket's URL
    client_id : the user pool's client for this page
    data_docs : the folder of the data docs in their bucket, with a slash at its end
    """

    api: str
    identity: str
    socket: str
    client_id: str
    data_docs: str

    def config(self) -> dict[str, str]:
        """The page's `config.json`. API and sign-in are paths of the page's own server, so that neither needs to
        allow other origins."""
        return {
            "apiUrl": API_PATH,
            "identityUrl": IDENTITY_PATH,
            "socketUrl": self.socket,
            "clientId": self.client_id,
            "dictionaryUrl": f"/{DICTIONARY}",
            "dataDocsUrl": DATA_DOCS_PATH + DATA_DOCS_PAGE,
        }

    def headers(self) -> dict[str, str]:
        """What every answer carries: the page runs its own files alone, and is in nobody's frame."""
        socket = urlsplit(self.socket)
        return {
            "Content-Security-Policy": content_security_policy([f"{socket.scheme}://{socket.netloc}"]),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cache-Control": "no-store",
        }


def document_headers() -> dict[str, str]:
    """What the data docs carry: a page of another maker's, which may style itself, and run nothing."""
    return {
        "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }


def served(outputs: Mapping[str, str], endpoint: str) -> Served:
    """The control plane with these outputs, on the emulator that answers at `endpoint`.

    Raises
    ------
    DeployError : an output is missing; deploy again
    """
    return Served(
        api=f"{endpoint}/restapis/{outputs['ControlApiId']}/{STAGE}/_user_request_",
        identity=f"{endpoint}/",
        socket=f"ws://{urlsplit(endpoint).netloc}/_aws/execute-api/{outputs['SocketApiId']}/{STAGE}",
        client_id=outputs["UserPoolClientId"],
        data_docs=f"{endpoint}/{outputs['DocsBucket']}{DATA_DOCS_PATH}",
    )
