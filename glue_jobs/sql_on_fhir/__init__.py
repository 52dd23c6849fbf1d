"""SQL on FHIR v2 on native Spark: ViewDefinitions in, DataFrames out. See README.md for how it works."""

from glue_jobs.sql_on_fhir.errors import (
    FhirPathSyntaxError,
    FhirPathTypeError,
    ReadError,
    SqlOnFhirError,
    UnsupportedFhirPathError,
    ViewDefinitionError,
)
from glue_jobs.sql_on_fhir.plan import Plan, compile_views
from glue_jobs.sql_on_fhir.steps import CompiledView

__all__ = [
    "CompiledView",
    "FhirPathSyntaxError",
    "FhirPathTypeError",
    "Plan",
    "ReadError",
    "SqlOnFhirError",
    "UnsupportedFhirPathError",
    "ViewDefinitionError",
    "compile_views",
]
