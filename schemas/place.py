"""Where a field stands in a declaration: the line that an error names."""

from __future__ import annotations

import re
from pathlib import Path

import yaml


def line_of(file: Path, field: str) -> int | None:
    """The line, from 1, of a dotted path such as ``columns.city.phi`` or ``expectations[2].with``.

    Of a field that is not there, the line of what should hold it; None where the file cannot be read as YAML
    (JSON is) or where nothing of the path is in it.
    """
    try:
        node = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None
    line: int | None = None
    rest = field
    while rest and node is not None:
        found = _within(node, rest)
        if found is None:
            break
        line, node, rest = found
    return line


def _within(node: yaml.Node, path: str) -> tuple[int, yaml.Node, str] | None:
    """Line and node of what the path begins with, and the rest of the path."""
    if isinstance(node, yaml.SequenceNode):
        match = re.match(r"\[(\d+)\]\.?", path)
        if match is None or int(match[1]) >= len(node.value):
            return None
        each = node.value[int(match[1])]
        return each.start_mark.line + 1, each, path[match.end() :]
    if not isinstance(node, yaml.MappingNode):
        return None
    # Names may hold dots, as `curated.patient` does: the longest that fits is meant.
    for key, value in sorted(node.value, key=lambda pair: len(str(pair[0].value)), reverse=True):
        name = str(key.value)
        if path == name or path.startswith((f"{name}.", f"{name}[")):
            return key.start_mark.line + 1, value, path[len(name) :].removeprefix(".")
    return None
