"""What the benchmark of exports conforms: whole exports of as many resources as asked for."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.exports_data import EXPORT_TIMES, ONE_PERCENT, PATIENTS, SEED, land_population, manifest_key
from glue_jobs.conform.export_manifests import parse_export


def test_a_population_is_repeated_with_new_ids_and_a_hundredth_of_it_changes(tmp_path: Path) -> None:
    made = tmp_path / f"population-{PATIENTS}-{SEED}"
    made.mkdir()
    patients = [{"resourceType": "Patient", "id": f"p{number}"} for number in range(30)]
    (made / "Patient.ndjson").write_text("".join(json.dumps(each) + "\n" for each in patients))
    (made / "Location.ndjson").write_text('{"resourceType": "Location", "id": "l"}\n')
    landed = land_population(tmp_path / "landing", 40_000, tmp_path)
    read = {}
    for name, moment in zip(("full", "changes"), EXPORT_TIMES, strict=True):
        landed.commit(name, moment)
        key = manifest_key(name, moment)
        export = parse_export(key, (tmp_path / "landing" / key).read_text())
        paths = [tmp_path / "landing" / file.key for file in export.files]
        assert [path.stat().st_size for path in paths] == [file.size for file in export.files]
        read[name] = [json.loads(line) for path in paths for line in path.read_text().splitlines()]
    keys = [(each["resourceType"], each["id"]) for each in read["full"]]
    assert len(set(keys)) == len(keys) > 200
    assert len(read["changes"]) == -(-len(keys) // ONE_PERCENT["changes"])
    assert {(each["resourceType"], each["id"]) for each in read["changes"]} <= set(keys)
    assert {each["meta"]["versionId"] for each in read["changes"]} == {"2"}
