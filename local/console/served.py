"""What the console's page is told, and what it may load and connect to: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from infra.api.description import STAGE

API_PATH = "/api"
IDENTITY_PATH = "/identity"
DICTIONARY_PATH = "/data-dictionary.md"


@dataclass(frozen=True)
class Served:
    """Where the parts of a deployed control plane answer.

    Attributes
    ----------
    api : the REST API's URL, without a slash at its end
    identity : the user pools' endpoint
    socket : the WebSocket's URL
    client_id : the user pool's client for this page
    """

    api: str
    identity: str
    socket: str
    client_id: str

    def config(self) -> dict[str, str]:
        """The page's `config.json`. API and sign-in are paths of the page's own server, so that neither needs to
        allow other origins."""
        return {
            "apiUrl": API_PATH,
            "identityUrl": IDENTITY_PATH,
            "socketUrl": self.socket,
            "clientId": self.client_id,
            "dictionaryUrl": DICTIONARY_PATH,
        }

    def headers(self) -> dict[str, str]:
        """What every answer carries: the page runs its own files alone, and is in nobody's frame."""
        socket = urlsplit(self.socket)
        policy = (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            f"connect-src 'self' {socket.scheme}://{socket.netloc}",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        )
        return {
            "Content-Security-Policy": "; ".join(policy),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
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
    )
