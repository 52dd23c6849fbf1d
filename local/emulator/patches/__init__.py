"""One module per gap of the emulator that a command or a test here needs closed; each has a contract test.

A module's `apply()` registers what is missing, or replaces one function, in the imported emulator.
"""

from __future__ import annotations

from local.emulator.patches import (
    cloudformation_athena,
    cloudformation_glue,
    cloudformation_websocket,
    distributed_map_width,
    dynamodb_stream_state,
    firehose_delivery,
    glue_crawler,
    glue_job_run,
    glue_table_events,
    glue_unfinished_runs,
    glue_workflow_run,
    healthlake_events,
    iam_loopback_transport,
    lambda_error_type,
    pipe_delivery,
    rest_api_import,
    rest_api_refusals,
    rest_api_services,
    stepfunctions_cognito,
)

ALL = (
    cloudformation_athena,
    cloudformation_glue,
    cloudformation_websocket,
    distributed_map_width,
    dynamodb_stream_state,
    firehose_delivery,
    glue_crawler,
    glue_job_run,
    glue_table_events,
    glue_unfinished_runs,
    glue_workflow_run,
    healthlake_events,
    iam_loopback_transport,
    lambda_error_type,
    pipe_delivery,
    rest_api_import,
    rest_api_refusals,
    rest_api_services,
    stepfunctions_cognito,
)


def apply_all() -> None:
    """Apply every patch, in the emulator's process, before it serves."""
    for patch in ALL:
        patch.apply()
