"""docs/data-dictionary.md says what the declarations say."""

from __future__ import annotations

from glue_jobs.curation.declarations import load_declarations
from schemas import load_item_types
from scripts.data_dictionary import PAGE, render

PAGE_NOW = render(load_declarations(), list(load_item_types().values()))


def _row(section: str, column: str) -> str:
    text = PAGE_NOW.split(f"\n### {section}\n")[1].split("\n### ")[0]
    return next(line for line in text.splitlines() if line.startswith((f"| {column} |", f"| **{column}** |")))


def test_the_page_is_not_stale() -> None:
    assert PAGE.read_text(encoding="utf-8") == PAGE_NOW, "run python -m scripts.data_dictionary"


def test_a_column_tells_its_type_whether_it_identifies_and_whether_it_is_always_there() -> None:
    assert _row("patient", "birth_date").split(" | ")[1] == "date"
    assert _row("patient", "birth_date").endswith("| PHI | shifted, or its year |")
    assert _row("patient", "resource_key").endswith("| always | keyed hash |")
    assert _row("patient", "birth_date_text").endswith("| PHI, 90 % | shifted, or its year |")
    assert _row("conformed-address", "line").endswith("| PHI |")
    assert _row("conformed-site_activity", "created_at_time").split(" | ")[1] == "timestamp"
    assert _row("patient_profile", "patient_key").endswith("| always | keyed hash |")
    assert _row("ops.run", "rows_written").split(" | ")[1] == "bigint"
    assert _row("conformed.fhir_resource", "resource").split(" | ")[1] == "string"
    assert _row("patient", "family_name").endswith("| left out: names |")
