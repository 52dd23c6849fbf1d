"""What is done to clinosim so that it takes less time."""

from __future__ import annotations

from typing import Any

from clinosim.modules.output import fhir_r4

from local.sample.generator import _FINISHING, _only_the_first


def test_only_the_first_resource_of_an_id_is_finished() -> None:
    finished: list[tuple[dict[str, Any], str]] = []
    finish = _only_the_first(lambda resource, country: finished.append((resource, country)))
    patient = {"resourceType": "Patient", "id": "1"}
    device, nameless = {"resourceType": "Device", "id": "1"}, {"resourceType": "Device"}
    for resource in (patient, dict(patient), device, nameless, nameless):
        finish(resource, "US")
    assert finished == [(patient, "US"), (device, "US"), (nameless, "US"), (nameless, "US")]


def test_clinosim_has_the_functions_that_are_replaced() -> None:
    assert [name for name in _FINISHING if not callable(getattr(fhir_r4, name))] == []
