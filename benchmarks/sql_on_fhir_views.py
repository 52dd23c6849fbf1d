"""The views that the SQL on FHIR benchmark flattens, and what someone would write by hand instead of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


def _view(name: str, resource: str, *selects: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "ViewDefinition", "name": name, "resource": resource, "select": list(selects)}


def _columns(**paths: str) -> list[dict[str, str]]:
    return [{"name": name, "path": path} for name, path in paths.items()]


@dataclass(frozen=True)
class Flat:
    """One flat view and its twins by hand: the schema and columns for Spark, and for DuckDB."""

    view: dict[str, Any]
    spark_schema: str
    spark_columns: tuple[str, ...]
    duckdb_schema: dict[str, str]
    duckdb_columns: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(column["name"] for column in self.view["select"][0]["column"])


_CODING = "STRUCT(coding STRUCT(system VARCHAR, code VARCHAR, display VARCHAR)[])"

OBSERVATION = Flat(
    view=_view(
        "observation",
        "Observation",
        {
            "column": _columns(
                id="getResourceKey()",
                patient_id="subject.getReferenceKey(Patient)",
                encounter_id="encounter.getReferenceKey(Encounter)",
                status="status",
                category="category.first().coding.first().code",
                code_system="code.coding.first().system",
                code="code.coding.first().code",
                display="code.coding.first().display",
                effective="effective.ofType(dateTime)",
                value="value.ofType(Quantity).value",
                unit="value.ofType(Quantity).unit",
                value_code="value.ofType(CodeableConcept).coding.first().code",
            )
        },
    ),
    spark_schema=(
        "id STRING, status STRING, subject STRUCT<reference: STRING>, encounter STRUCT<reference: STRING>, "
        "category ARRAY<STRUCT<coding: ARRAY<STRUCT<code: STRING>>>>, "
        "code STRUCT<coding: ARRAY<STRUCT<system: STRING, code: STRING, display: STRING>>>, "
        "effectiveDateTime STRING, valueQuantity STRUCT<value: STRING, unit: STRING>, "
        "valueCodeableConcept STRUCT<coding: ARRAY<STRUCT<code: STRING>>>"
    ),
    spark_columns=(
        "id",
        "substring(subject.reference, 9) AS patient_id",
        "substring(encounter.reference, 11) AS encounter_id",
        "status",
        "category[0].coding[0].code AS category",
        "code.coding[0].system AS code_system",
        "code.coding[0].code AS code",
        "code.coding[0].display AS display",
        "effectiveDateTime AS effective",
        "valueQuantity.value AS value",
        "valueQuantity.unit AS unit",
        "valueCodeableConcept.coding[0].code AS value_code",
    ),
    duckdb_schema={
        "id": "VARCHAR",
        "status": "VARCHAR",
        "subject": "STRUCT(reference VARCHAR)",
        "encounter": "STRUCT(reference VARCHAR)",
        "category": "STRUCT(coding STRUCT(code VARCHAR)[])[]",
        "code": _CODING,
        "effectiveDateTime": "VARCHAR",
        "valueQuantity": 'STRUCT("value" VARCHAR, unit VARCHAR)',
        "valueCodeableConcept": "STRUCT(coding STRUCT(code VARCHAR)[])",
    },
    duckdb_columns=(
        "id",
        "substring(subject.reference, 9) AS patient_id",
        "substring(encounter.reference, 11) AS encounter_id",
        "status",
        "category[1].coding[1].code AS category",
        "code.coding[1].system AS code_system",
        "code.coding[1].code AS code",
        "code.coding[1].display AS display",
        "effectiveDateTime AS effective",
        'valueQuantity."value" AS value',
        "valueQuantity.unit AS unit",
        "valueCodeableConcept.coding[1].code AS value_code",
    ),
)

ENCOUNTER = Flat(
    view=_view(
        "encounter",
        "Encounter",
        {
            "column": _columns(
                id="getResourceKey()",
                patient_id="subject.getReferenceKey(Patient)",
                status="status",
                class_code="class.code",
                type_code="type.first().coding.first().code",
                type_display="type.first().coding.first().display",
                service="serviceType.text",
                started="period.start",
                ended="period.end",
                reason="reasonCode.first().coding.first().code",
                provider="serviceProvider.getReferenceKey(Organization)",
            )
        },
    ),
    spark_schema=(
        "id STRING, status STRING, subject STRUCT<reference: STRING>, class STRUCT<code: STRING>, "
        "type ARRAY<STRUCT<coding: ARRAY<STRUCT<code: STRING, display: STRING>>>>, "
        "serviceType STRUCT<text: STRING>, period STRUCT<start: STRING, end: STRING>, "
        "reasonCode ARRAY<STRUCT<coding: ARRAY<STRUCT<code: STRING>>>>, "
        "serviceProvider STRUCT<reference: STRING>"
    ),
    spark_columns=(
        "id",
        "substring(subject.reference, 9) AS patient_id",
        "status",
        "class.code AS class_code",
        "type[0].coding[0].code AS type_code",
        "type[0].coding[0].display AS type_display",
        "serviceType.text AS service",
        "period.start AS started",
        "period.end AS ended",
        "reasonCode[0].coding[0].code AS reason",
        "substring(serviceProvider.reference, 14) AS provider",
    ),
    duckdb_schema={
        "id": "VARCHAR",
        "status": "VARCHAR",
        "subject": "STRUCT(reference VARCHAR)",
        "class": "STRUCT(code VARCHAR)",
        "type": "STRUCT(coding STRUCT(code VARCHAR, display VARCHAR)[])[]",
        "serviceType": 'STRUCT("text" VARCHAR)',
        "period": 'STRUCT("start" VARCHAR, "end" VARCHAR)',
        "reasonCode": "STRUCT(coding STRUCT(code VARCHAR)[])[]",
        "serviceProvider": "STRUCT(reference VARCHAR)",
    },
    duckdb_columns=(
        "id",
        "substring(subject.reference, 9) AS patient_id",
        "status",
        "class.code AS class_code",
        "type[1].coding[1].code AS type_code",
        "type[1].coding[1].display AS type_display",
        'serviceType."text" AS service',
        'period."start" AS started',
        'period."end" AS ended',
        "reasonCode[1].coding[1].code AS reason",
        "substring(serviceProvider.reference, 14) AS provider",
    ),
)

FLAT = {"Observation": OBSERVATION, "Encounter": ENCOUNTER}

_KEY = {"column": _columns(id="getResourceKey()")}
FIVE = (
    OBSERVATION.view,
    _view(
        "observation_component",
        "Observation",
        _KEY,
        {
            "forEach": "component",
            "column": _columns(
                code="code.coding.first().code",
                value="value.ofType(Quantity).value",
                unit="value.ofType(Quantity).unit",
            ),
        },
    ),
    _view(
        "observation_category",
        "Observation",
        _KEY,
        {"forEach": "category.coding", "column": _columns(system="system", code="code")},
    ),
    _view(
        "observation_range",
        "Observation",
        _KEY,
        {
            "forEach": "referenceRange",
            "column": _columns(low="low.value", high="high.value", unit="low.unit"),
        },
    ),
    _view(
        "observation_performer",
        "Observation",
        {"column": _columns(id="getResourceKey()", issued="issued")},
        {"forEach": "performer", "column": _columns(practitioner_id="getReferenceKey(Practitioner)")},
    ),
)
"""Five views of one resource type; the first is the one that is also measured alone."""
