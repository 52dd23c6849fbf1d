"""The one error of the declarations: it names the file, the field and the remedy."""

from __future__ import annotations

from pathlib import Path


class SchemaError(ValueError):
    """Raised when a file under ``schemas/`` does not say what it must.

    Attributes
    ----------
    file : the declaration at fault
    field : dotted path inside it, such as ``attributes.postcode.type``; empty for the file itself
    problem : what is wrong and what to write instead
    """

    def __init__(self, file: Path | str, field: str, problem: str) -> None:
        self.file = Path(file)
        self.field = field
        self.problem = problem
        super().__init__(f"{self.file}{f': {field}' if field else ''}: {problem}")
