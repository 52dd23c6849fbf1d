"""How tables lie on disk and how long their versions stay: ``schemas/layouts.yaml``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path
from typing import Any

from schemas.declaration import SCHEMAS_DIR, Declaration, read_declaration

LAYOUTS_FILE = SCHEMAS_DIR / "layouts.yaml"
_ZONES = ("conformed", "curated", "ops")
_METRICS = ("none", "counts", "full")
_NUMBERS = ("target_file_mb", "row_group_mb", "keep_days")


@dataclass(frozen=True)
class Layout:
    """The shape of one table's files.

    Attributes
    ----------
    sort_by : columns that rows of a file are sorted by, and files once they are compacted
    partition_by : Iceberg transforms, such as ``month(started_at)``; holds for a table that is yet to be made
    target_file_mb : size of a file that compaction aims at
    row_group_mb : what a reader reads or skips as a whole
    keep_days : how far back the table can be asked as it was
    statistics : by column, what Iceberg keeps of its values in each file: ``none``, ``counts`` or ``full``;
        of other columns counts and the beginnings of the least and the greatest
    """

    sort_by: tuple[str, ...] = ()
    partition_by: tuple[str, ...] = ()
    target_file_mb: int = 256
    row_group_mb: int = 16
    keep_days: int = 7
    statistics: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Layouts:
    """The layouts of tables that differ from the default, by ``zone.table``."""

    default: Layout = field(default_factory=Layout)
    tables: Mapping[str, Layout] = field(default_factory=dict)
    file: Path = LAYOUTS_FILE

    def of(self, zone: str, table: str) -> Layout:
        return self.tables.get(f"{zone}.{table}", self.default)

    def of_twin(self, table: str, columns: Collection[str]) -> Layout:
        """That of a curated table, for its de-identified twin, which has fewer columns and no partitions."""
        layout = self.of("curated", table)
        return replace(
            layout,
            sort_by=tuple(takewhile(lambda each: each in columns, layout.sort_by)),
            partition_by=(),
            statistics={name: kept for name, kept in layout.statistics.items() if name in columns},
        )


DEFAULT_LAYOUTS = Layouts()
DEFAULT_LAYOUT = DEFAULT_LAYOUTS.default


def load_layouts(file: Path = LAYOUTS_FILE) -> Layouts:
    """All layouts; the built-in default where there is no file.

    Raises
    ------
    SchemaError : naming the field
    """
    if not file.is_file():
        return Layouts(file=file)
    fields = read_declaration(file)
    fields.allow_only(("default", "tables"))
    default = _layout(fields.child("default"), Layout()) if "default" in fields.value else Layout()
    tables = {}
    for name, each in fields.children("tables") if "tables" in fields.value else ():
        zone, _, table = name.partition(".")
        if zone not in _ZONES or not table:
            raise fields.error(
                f"tables.{name}", f"must be <zone>.<table>, the zone one of {', '.join(_ZONES)}"
            )
        tables[name] = _layout(each, default)
    return Layouts(default, tables, file)


def _layout(fields: Declaration, default: Layout) -> Layout:
    fields.allow_only(("sort_by", "partition_by", "statistics", *_NUMBERS))
    given: dict[str, Any] = {name: _positive(fields, name) for name in _NUMBERS if name in fields.value}
    for name in ("sort_by", "partition_by"):
        if name in fields.value:
            given[name] = fields.texts(name)
    if "statistics" in fields.value:
        given["statistics"] = _statistics(fields.child("statistics"))
    return replace(default, **given)


def _positive(fields: Declaration, name: str) -> int:
    value = fields.value[name]
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise fields.error(name, "must be a whole number, 1 at least")
    return value


def _statistics(fields: Declaration) -> dict[str, str]:
    for column, kept in fields.value.items():
        if kept not in _METRICS:
            raise fields.error(str(column), f"must be one of {', '.join(_METRICS)}")
    return {str(column): kept for column, kept in fields.value.items()}
