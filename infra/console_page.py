"""The console's page, wherever it is served from: its files, and what every answer carries. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from infra.packaging import REPOSITORY

TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".md": "text/plain; charset=utf-8",
}
"""Media types by the endings of what is served; nothing else is."""

INDEX: Final = "index.html"
CONFIG: Final = "config.json"
DICTIONARY: Final = "data-dictionary.md"
API_PATH: Final = "/api"


def page_files(repository: Path = REPOSITORY) -> dict[str, Path]:
    """The files that a browser may ask for, by their names: the page's, and the data dictionary."""
    page = repository / "console"
    files = {file.name: file for file in sorted(page.iterdir()) if file.suffix in TYPES}
    files.pop("README.md")
    return {**files, DICTIONARY: repository / "docs" / DICTIONARY}


def content_security_policy(connect: Iterable[str]) -> str:
    """The page runs its own files alone, talks to its own server and to `connect`, and is in nobody's frame."""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            "connect-src " + " ".join(("'self'", *connect)),
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        )
    )
