"""API Gateway's mapping templates: Velocity, with `$input`, `$util`, `$context` and `$stageVariables`.

"Mapping template reference" of the API Gateway Developer Guide says what these hold. Of JSONPath, a chain of
names is known. A template changes the answer by setting `$context.responseOverride`.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus, unquote_plus

import airspeed

_ESCAPES = {"'": "\\'", '"': '\\"', "\\": "\\\\", "/": "\\/", "\n": "\\n", "\t": "\\t"}
_ESCAPES |= {"\r": "\\r", "\b": "\\b", "\f": "\\f"}
_PATH = re.compile(r"\$(\.[A-Za-z_]\w*)*")


class MappingTemplateError(ValueError):
    """Raised when a template cannot be rendered, or asks for what is not known here."""


@dataclass(frozen=True)
class Rendered:
    """What a template made: the text, and the status and headers that it set in place of the mapped ones."""

    text: str
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """What templates see of a request. `parameters` are those of path, query and headers, the first first."""

    parameters: Mapping[str, str] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)
    stage_variables: Mapping[str, str] = field(default_factory=dict)


def render(template: str, body: str, request: Request) -> Rendered:
    """Render a template over a body: the request's, or what the service answered.

    Raises
    ------
    MappingTemplateError : on AWS the caller would get status 500
    """
    override: dict[str, Any] = {"header": {}}
    namespace = {
        "input": _Input(body, request.parameters),
        "util": _Util(),
        "context": {**request.context, "responseOverride": override},
        "stageVariables": dict(request.stage_variables),
    }
    try:
        text = airspeed.Template(template).merge(namespace)
    except (airspeed.TemplateError, TypeError, AttributeError) as error:
        raise MappingTemplateError(f"{type(error).__name__}: {error}") from error
    status = override.get("status")
    headers = {name: str(value) for name, value in override["header"].items()}
    return Rendered(text, None if status is None else int(status), headers)


class _Input:
    def __init__(self, body: str, parameters: Mapping[str, str]) -> None:
        self.body = body
        self._parameters = parameters

    def path(self, path: str) -> Any:
        """What is at the path, as an object; None where there is nothing."""
        if not _PATH.fullmatch(path):
            raise MappingTemplateError(f"path {path!r} is more than a chain of names")
        node = json.loads(self.body) if self.body.strip() else {}
        for name in path.split(".")[1:]:
            node = node.get(name) if isinstance(node, dict) else None
        return node

    def json(self, path: str) -> str:
        """What is at the path, as JSON."""
        return json.dumps(self.path(path), ensure_ascii=False, separators=(",", ":"))

    def params(self, name: str) -> str:
        return self._parameters.get(name, "")


class _Util:
    """The functions of `$util`, named as they are there."""

    def escapeJavaScript(self, text: Any) -> str:
        """As Commons Lang does it: apostrophes too, and all beyond ASCII as UTF-16."""
        return "".join(_escaped(each) for each in str(text))

    def parseJson(self, text: str) -> Any:
        return json.loads(text)

    def urlEncode(self, text: str) -> str:
        return quote_plus(text)

    def urlDecode(self, text: str) -> str:
        return unquote_plus(text)

    def base64Encode(self, text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    def base64Decode(self, text: str) -> str:
        return base64.b64decode(text).decode()


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if " " <= character <= "~":
        return character
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex().upper()}" for at in range(0, len(units), 2))
