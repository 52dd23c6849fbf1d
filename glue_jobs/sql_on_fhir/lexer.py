"""FHIRPath tokens, each with its offset, so that every error can point at its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from glue_jobs.sql_on_fhir.errors import FhirPathSyntaxError

_DATE = r"\d{4}(?:-\d{2}(?:-\d{2})?)?"
_TIME = r"\d{2}(?::\d{2}(?::\d{2}(?:\.\d+)?)?)?"
_ZONE = r"(?:Z|[+-]\d{2}:\d{2})?"

# Order matters: the first alternative that matches wins.
_TOKEN = re.compile(
    rf"""
    (?P<space>\s+|//[^\n]*|/\*.*?\*/)
  | (?P<datetime>@{_DATE}T(?:{_TIME}{_ZONE})?)
  | (?P<time>@T{_TIME})
  | (?P<date>@{_DATE})
  | (?P<number>\d+(?:\.\d+)?)
  | (?P<string>'(?:\\.|[^'\\])*')
  | (?P<quoted>`(?:\\.|[^`\\])*`)
  | (?P<external>%(?:[A-Za-z_][A-Za-z0-9_]*|`(?:\\.|[^`\\])*`|'(?:\\.|[^'\\])*'))
  | (?P<variable>\$(?:this|index|total)\b)
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<symbol><=|>=|!=|!~|[.,()\[\]{{}}+\-*/&|<>=~])
    """,
    re.VERBOSE | re.DOTALL,
)

_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "\\": "\\", "/": "/", "'": "'", '"': '"', "`": "`"}


@dataclass(frozen=True)
class Token:
    """`kind` is a group name of the token grammar, or `end`; `text` is unescaped for strings and names."""

    kind: str
    text: str
    position: int


def tokenize(expression: str) -> Iterator[Token]:
    """The tokens of an expression, ending with one of kind `end`."""
    position = 0
    while position < len(expression):
        match = _TOKEN.match(expression, position)
        if match is None:
            raise FhirPathSyntaxError(
                f"unexpected character {expression[position]!r}", expression=expression, position=position
            )
        kind, text = str(match.lastgroup), match.group()
        if kind != "space":
            yield Token(kind, _value(kind, text, expression, position), position)
        position = match.end()
    yield Token("end", "", len(expression))


def _value(kind: str, text: str, expression: str, position: int) -> str:
    if kind in ("string", "quoted"):
        return _unescape(text[1:-1], expression, position)
    if kind == "external":
        name = text[1:]
        return _unescape(name[1:-1], expression, position) if name[0] in "`'" else name
    return text.lstrip("@") if kind in ("date", "datetime") else text


def _unescape(text: str, expression: str, position: int) -> str:
    def replace(match: re.Match[str]) -> str:
        code = match.group(1)
        if len(code) == 5:
            return chr(int(code[1:], 16))
        if code not in _ESCAPES:
            raise FhirPathSyntaxError(
                f"unknown escape \\{code} in a string", expression=expression, position=position
            )
        return _ESCAPES[code]

    return _ESCAPE.sub(replace, text)
