"""The one error of the declarations: it names the file, the field, its line and the remedy."""

from __future__ import annotations

from pathlib import Path

from schemas.place import line_of


class SchemaError(ValueError):
    """Raised when a file under ``schemas/`` does not say what it must.

    Attributes
    ----------
    file : the declaration at fault
    field : dotted path inside it, such as ``attributes.postcode.type``; empty for the file itself
    problem : what is wrong and what to write instead
    line : where the field stands, or what should hold it; None where that cannot be told
    """

    def __init__(self, file: Path | str, field: str, problem: str) -> None:
        self.file = Path(file)
        self.field = field
        self.problem = problem
        self.line = line_of(self.file, field) if field else None
        place = f" (line {self.line})" if self.line else ""
        super().__init__(f"{self.file}{f': {field}' if field else ''}: {problem}{place}")
