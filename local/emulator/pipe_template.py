"""A pipe's input template, applied to one record.

EventBridge, "Pipes input transformation": `<$.path>` stands for what is at the path. Within quotes a text goes
in as it is, and an object without its quotes; elsewhere the value goes in as JSON. A path that is missing
leaves nothing in its place.
"""

from __future__ import annotations

import json
import re
from typing import Any

_PLACE = re.compile(r"<\$\.([\w\-./]+)>")
_TEXT = re.compile(r'(?<!\\)"')


def at(path: str, event: Any) -> Any:
    """What is at `$.path` or `path`, a chain of names; None where one is missing."""
    for name in path.removeprefix("$.").split("."):
        event = event.get(name) if isinstance(event, dict) else None
    return event


def render(template: str, event: Any) -> str:
    """The target's input."""
    parts: list[str] = []
    end = 0
    quoted = False
    for place in _PLACE.finditer(template):
        between = template[end : place.start()]
        quoted ^= len(_TEXT.findall(between)) % 2 == 1
        value = at(place[1], event)
        parts += [between, _written(value, quoted)]
        end = place.end()
    return "".join([*parts, template[end:]])


def _written(value: Any, quoted: bool) -> str:
    if value is None:
        return ""
    if not quoted:
        return json.dumps(value)
    return value if isinstance(value, str) else json.dumps(value).replace('"', "")
