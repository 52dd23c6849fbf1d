"""The NDJSON that the SQL on FHIR benchmark reads: a clinosim population, repeated with new ids until it is large."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from local.sample.population import generate_population

PATIENTS, SEED = 60, 7
FILES = 4
"""Files per resource type, all of one size, so that two cores end together."""
SHARES = {"Observation": 0.8, "Encounter": 0.2}
_OWN_ID = re.compile(r'"id": "([^"]+)"')
_REFERENCE = re.compile(r'"(Patient|Encounter|Observation)/([^"]+)"')


def make_data(folder: Path, megabytes: int) -> dict[str, Path]:
    """The folder of files of each resource type, about `megabytes` in all. Made once, then kept."""
    base = generate_population(PATIENTS, SEED, folder.absolute()).folder
    made = {}
    for resource, share in SHARES.items():
        target = folder / f"{resource}-{megabytes}mb"
        if not target.is_dir():
            work = folder / f"{target.name}.part"
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir(parents=True)
            _repeat(base / f"{resource}.ndjson", work, round(megabytes * share * 1_000_000))
            work.rename(target)
        made[resource] = target
    return made


def size_of(folder: Path) -> int:
    """Bytes of the files in a folder."""
    return sum(file.stat().st_size for file in folder.glob("*.ndjson"))


def _repeat(base: Path, folder: Path, size: int) -> None:
    """Write `FILES` files of `size` bytes together, each of whole copies of `base` up to its last one."""
    lines, copy, at = base.read_text(encoding="utf-8").splitlines(keepends=True), 0, 0
    for number in range(FILES):
        written = 0
        with (folder / f"part-{number}.ndjson").open("w", encoding="utf-8") as out:
            while written < size // FILES:
                line = _renamed(lines[at], copy)
                written += out.write(line)
                at += 1
                if at == len(lines):
                    copy, at = copy + 1, 0


def _renamed(line: str, copy: int) -> str:
    """The line as a resource of its own, which refers to others of the same copy."""
    line = _OWN_ID.sub(rf'"id": "\g<1>-{copy}"', line, count=1)
    return _REFERENCE.sub(rf'"\g<1>/\g<2>-{copy}"', line)
