"""A small, slow, obviously right runner of views: the specification's processing model on Python dictionaries.

It shares the FHIRPath parser with the package and nothing else: no types, no Spark, no compilation. A collection
is a list. What a choice element is named in JSON is guessed from the key, which the compiler never does. FHIRPath
itself is in `reference_paths`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from glue_jobs.sql_on_fhir.parser import parse
from tests.spark.sql_on_fhir.reference_paths import Context, constant, evaluate, single, truth

Row = dict[str, Any]
# Stands for the error of a column that has several values and is no collection.
SEVERAL = object()


def run_view(view: Mapping[str, Any], resources: Sequence[Mapping[str, Any]]) -> list[Row]:
    """The rows of a view; absent values are None, and SEVERAL where the view must fail."""
    context = Context({c["name"]: constant(c) for c in view.get("constant", ())})
    rows: list[Row] = []
    for resource in resources:
        kept = (truth(evaluate(parse(w["path"]), [resource], context)) for w in view.get("where", ()))
        if resource["resourceType"] == view["resource"] and all(kept):
            rows += _cross([_select(select, resource, context) for select in view["select"]])
    return rows


def _cross(parts: Sequence[list[Row]]) -> list[Row]:
    """Every combination of one row from each part."""
    return [{k: v for part in chosen for k, v in part.items()} for chosen in itertools.product(*parts)]


def _select(select: Mapping[str, Any], node: Any, context: Context) -> list[Row]:
    if "repeat" in select:
        foci = list(_repeat(select["repeat"], node, context))
    elif path := select.get("forEach") or select.get("forEachOrNull"):
        foci = evaluate(parse(path), [node], context)
    else:
        return _rows(select, node, context)
    if not foci and "forEachOrNull" in select:
        return [{c["name"]: 0 if c["path"] == "%rowIndex" else None for c in _all_columns(select)}]
    return [
        row
        for index, focus in enumerate(foci)
        for row in _rows(select, focus, replace(context, row_index=index))
    ]


def _repeat(paths: Sequence[str], node: Any, context: Context) -> Iterator[Any]:
    """Depth first: each node that a path gives, then what is below it."""
    for path in paths:
        for child in evaluate(parse(path), [node], context):
            yield child
            yield from _repeat(paths, child, context)


def _rows(select: Mapping[str, Any], node: Any, context: Context) -> list[Row]:
    own = {c["name"]: _column(c, node, context) for c in select.get("column", ())}
    parts = [[own], *(_select(child, node, context) for child in select.get("select", ()))]
    if "unionAll" in select:
        parts.append([row for branch in select["unionAll"] for row in _select(branch, node, context)])
    return _cross(parts)


def _all_columns(select: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from select.get("column", ())
    for child in (*select.get("select", ()), *select.get("unionAll", ())[:1]):
        yield from _all_columns(child)


def _column(column: Mapping[str, Any], node: Any, context: Context) -> Any:
    found = evaluate(parse(column["path"]), [node], context)
    if column.get("collection"):
        return found or None
    return SEVERAL if len(found) > 1 else single(found)
