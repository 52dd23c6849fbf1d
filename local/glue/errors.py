"""The errors of local Glue: each message names the thing and the remedy, and never a patient's data."""

from __future__ import annotations


class GlueHostError(RuntimeError):
    """Root of what can go wrong around a job, a crawl or a workflow, outside the job's own code."""


class MirrorError(GlueHostError):
    """Raised when the emulator's S3 and its mirror on disk cannot be brought together."""


class JobDefinitionError(GlueHostError):
    """Raised when a job's definition does not say what to run, or where the lake is."""


class WorkerLost(GlueHostError):
    """Raised when the Spark worker ended before it answered."""


class CrawlError(GlueHostError):
    """Raised when a crawler's target cannot be crawled."""


class WorkflowGraphError(GlueHostError):
    """Raised when the triggers of a workflow are no graph that Glue would walk."""
