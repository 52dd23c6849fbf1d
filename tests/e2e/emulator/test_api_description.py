"""What `docs/openapi.json` promises, held against the deployed API: whatever is asked, it answers as described."""

from __future__ import annotations

import json
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from infra.packaging import REPOSITORY
from tests.conftest import examples
from tests.e2e.emulator.conftest import Deployed

pytestmark = pytest.mark.e2e

described: Any = schemathesis.openapi.from_dict(
    json.loads((REPOSITORY / "docs" / "openapi.json").read_text(encoding="utf-8"))
)

_OF_BODIES: Any = [negative_data_rejection, positive_data_acceptance]


@described.parametrize()  # type: ignore[untyped-decorator]
# The same requests each time, or, with more examples, others: the suite tells of changes, a long run of what is new.
@settings(
    max_examples=examples(12),
    derandomize=examples(1) == 1,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_every_operation_answers_as_described_to_good_and_bad_requests(
    case: Case[Any], deployed: Deployed, engineer: str
) -> None:
    """A body that does not fit is the gateway's to refuse. What is wrong with a query, the service behind it has to
    find: no schema tells a page's token from any other text, and the emulator's takes any status for a filter."""
    base = f"{deployed.emulator.endpoint}/restapis/{deployed.outputs['ControlApiId']}/v1/_user_request_"
    case.call_and_validate(
        base_url=base,
        headers={"Authorization": engineer},
        excluded_checks=None if case.operation.method == "post" else _OF_BODIES,
    )
