"""Errors of the lake: each names the thing, says the remedy, and never carries a patient's data."""

from __future__ import annotations


class LakeError(Exception):
    """Root of every error that a job raises on purpose.

    ``problem`` says what is wrong with what; ``remedy`` what to do about it.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{problem}. {remedy}")


class Transient:
    """Marks an error that may vanish when the job runs again, so that retrying is right."""


class Terminal:
    """Marks an error that stays until somebody changes a declaration, an argument or the data."""


class ArgumentError(LakeError, Terminal):
    """Raised when a job's arguments do not say what it needs."""


class SessionError(LakeError, Terminal):
    """Raised when Spark is not configured as the jobs need it."""


class TableError(LakeError, Terminal):
    """Raised when a table in the lake cannot take the shape that its declaration asks for."""


class CommitConflict(LakeError, Transient):
    """Raised when another writer changed a table between reading it and committing to it."""


class AuditFailed(LakeError, Terminal):
    """Raised when expectations that halt did not hold, after every other table was published.

    ``failures`` maps each table that stays unpublished to the expectations it failed.
    """

    def __init__(self, problem: str, remedy: str, failures: dict[str, tuple[str, ...]]) -> None:
        self.failures = failures
        super().__init__(problem, remedy)
