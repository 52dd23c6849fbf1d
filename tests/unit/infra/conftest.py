from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from infra.assembly import Assembly
from infra.node import use_packaged_node
from tests.unit.infra.assemblies import on_aws
from tests.unit.infra.assemblies import template as template_of

Properties = dict[str, Any]

# Test modules here import constructs, and so `aws_cdk`, which looks for Node when it is imported.
use_packaged_node()


@pytest.fixture(scope="session")
def assembly() -> Assembly:
    return on_aws()


@pytest.fixture(scope="session")
def template(assembly: Assembly) -> dict[str, Any]:
    return template_of(assembly)


@pytest.fixture(scope="session")
def resources(template: dict[str, Any]) -> Callable[[str], dict[str, dict[str, Any]]]:
    """The resources of one type, whole, by logical id; a type that is not there at all is an error."""

    def of(kind: str) -> dict[str, dict[str, Any]]:
        found = {name: each for name, each in template["Resources"].items() if each["Type"] == kind}
        assert found, f"the template has no {kind}"
        return found

    return of
