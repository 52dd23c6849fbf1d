"""What the simulator answers when it refuses, each with HealthLake's name and HTTP status."""

from __future__ import annotations


class SimulatorError(Exception):
    """A refusal. The message names the thing, never its content."""

    status = 500
    name = "InternalServerException"
    issue = "exception"


class ValidationError(SimulatorError):
    """The request is malformed, or asks what is not modelled."""

    status = 400
    name = "ValidationException"
    issue = "invalid"


class Throttled(SimulatorError):
    """A quota is used up. HealthLake answers throttling with HTTP 400."""

    status = 400
    name = "ThrottlingException"
    issue = "throttled"


class AccessDenied(SimulatorError):
    """The request is not signed, or not for healthlake."""

    status = 403
    name = "AccessDeniedException"
    issue = "security"


class NotFound(SimulatorError):
    """No such data store, job, resource or version."""

    status = 404
    name = "ResourceNotFoundException"
    issue = "not-found"


class Gone(SimulatorError):
    """The resource was deleted."""

    status = 410
    name = "ResourceNotFoundException"
    issue = "deleted"


class PreconditionFailed(SimulatorError):
    """If-Match names a version that is not the current one."""

    status = 412
    name = "ConflictException"
    issue = "conflict"


class Unavailable(SimulatorError):
    """A fault asked for: HealthLake had an error of its own."""

    status = 500
    name = "InternalServerException"
    issue = "transient"
