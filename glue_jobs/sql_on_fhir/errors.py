"""Errors of the package. Messages name the view, the place in it and the remedy; they never hold data."""

from __future__ import annotations


class SqlOnFhirError(Exception):
    """Root of everything this package raises on purpose."""


class ViewDefinitionError(SqlOnFhirError):
    """Raised when a ViewDefinition is invalid or uses what the runner does not support, before data is read.

    `location` is the place in the view's JSON (`select[0].column[2].path`); `expression` and `position`
    (0-based offset) are set when a FHIRPath expression is at fault.
    """

    def __init__(
        self,
        reason: str,
        *,
        view: str | None = None,
        location: str = "",
        expression: str | None = None,
        position: int | None = None,
    ) -> None:
        self.reason, self.view, self.location = reason, view, location
        self.expression, self.position = expression, position
        super().__init__(self._message())

    def _message(self) -> str:
        where = ": ".join(part for part in (self.view and f"view {self.view}", self.location) if part)
        message = f"{where}: {self.reason}" if where else self.reason
        if self.expression is None:
            return message
        message += f"\n  {self.expression}"
        return message if self.position is None else f"{message}\n  {' ' * self.position}^"

    def at(self, *, view: str | None = None, location: str | None = None) -> ViewDefinitionError:
        """The same error with the place filled in, where it was not known yet."""
        return type(self)(
            self.reason,
            view=self.view or view,
            location=self.location or location or "",
            expression=self.expression,
            position=self.position,
        )


class FhirPathSyntaxError(ViewDefinitionError):
    """Raised when an expression does not parse."""


class FhirPathTypeError(ViewDefinitionError):
    """Raised when an expression can never be right: an unknown element, operands that do not compare."""


class UnsupportedFhirPathError(ViewDefinitionError):
    """Raised for valid FHIRPath outside the supported subset."""


class ReadError(SqlOnFhirError):
    """Raised when the input as a whole cannot be read, such as a path without files."""
