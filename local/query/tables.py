"""The tables that a query names: found in its tree, and each replaced there by a relation of the engine."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlglot import exp
from sqlglot.optimizer.scope import traverse_scope

from local.query.catalog import Catalog, CatalogTable
from local.query.errors import UnsupportedStatement
from local.query.iceberg_source import METADATA_TABLES

_VIEW = re.compile(r"/\*\s*Presto View:\s*(\S+)\s*\*/")
_MAX_VIEW_DEPTH = 10

Version = int | str | datetime
Constant = Callable[[exp.Expr], Version]


@dataclass(frozen=True)
class Reference:
    """One mention of a table: the relation it became, and which version or metadata table of it is meant."""

    relation: str
    table: CatalogTable
    version: Version | None = None
    metadata_table: str | None = None


def resolve_tables(
    tree: exp.Expr,
    catalog: Catalog,
    database: str,
    parse: Callable[[str], exp.Expr],
    constant: Constant,
    as_of: datetime | None = None,
) -> tuple[exp.Expr, list[Reference]]:
    """Replace every mention of a table of the catalog by ``t0``, ``t1`` … under the alias that it had.

    Parameters
    ----------
    parse : parses a view's own SQL
    constant : computes the expression behind ``FOR TIMESTAMP AS OF``
    as_of : the version of every table for which the query itself says none, those behind views too

    Raises
    ------
    UnknownTable : the catalog has no such table
    UnsupportedStatement : something in ``FROM`` is no table, or views stand in a circle
    """
    references: list[Reference] = []
    for depth in range(_MAX_VIEW_DEPTH + 1):
        views = 0
        for node in list(_mentions(tree)):
            name, kind = _split_metadata_name(node.name)
            table = catalog.table(name, node.db or database)
            if table.kind == "view":
                if depth == _MAX_VIEW_DEPTH:
                    raise UnsupportedStatement(f"{table.full_name}: views nest deeper than {_MAX_VIEW_DEPTH}")
                _expand(node, table, parse)
                views += 1
                continue
            version = _version(node, constant)
            reference = Reference(f"t{len(references)}", table, as_of if version is None else version, kind)
            _rename(node, reference.relation, name)
            references.append(reference)
        if not views:
            break
    for column in tree.find_all(exp.Column):
        # `curated.patient.id`: the relation is known by its alias alone.
        column.set("db", None)
        column.set("catalog", None)
    return tree, references


def _mentions(tree: exp.Expr) -> Iterator[exp.Table]:
    """The tables in ``FROM`` that are of the catalog: not those of a ``WITH``, not those already replaced."""
    for scope in traverse_scope(tree):
        for source in scope.sources.values():
            if not isinstance(source, exp.Table) or source.meta.get("relation"):
                continue
            if not isinstance(source.this, exp.Identifier):
                raise UnsupportedStatement(
                    f"FROM {source.sql('athena')}: only tables of the catalog can be read"
                )
            yield source


def _split_metadata_name(name: str) -> tuple[str, str | None]:
    """``patient$snapshots`` → ``patient``, ``snapshots``."""
    table, separator, kind = name.partition("$")
    if not separator:
        return name, None
    if kind.lower() not in METADATA_TABLES:
        raise UnsupportedStatement(
            f'"{name}": there are only {", ".join(f"${each}" for each in METADATA_TABLES)}'
        )
    return table, kind.lower()


def _version(node: exp.Table, constant: Constant) -> Version | None:
    version = node.args.get("version")
    if version is None:
        return None
    value = constant(version.expression)
    if str(version.this).upper() == "TIMESTAMP" and not isinstance(value, datetime):
        raise UnsupportedStatement(
            "FOR TIMESTAMP AS OF needs a timestamp, such as TIMESTAMP '2025-01-31 00:00:00'"
        )
    return value


def _rename(node: exp.Table, relation: str, name: str) -> None:
    if not node.alias:
        node.set("alias", exp.TableAlias(this=exp.to_identifier(name)))
    node.set("this", exp.to_identifier(relation))
    for part in ("db", "catalog", "version"):
        node.set(part, None)
    node.meta["relation"] = relation


def _expand(node: exp.Table, view: CatalogTable, parse: Callable[[str], exp.Expr]) -> None:
    """Put a view's own query, which the catalog keeps as Athena wrote it, where the view is named."""
    match = _VIEW.search(view.view_text)
    try:
        sql = json.loads(base64.b64decode(match[1], validate=True))["originalSql"] if match else None
    except (binascii.Error, ValueError, KeyError):
        sql = None
    if not isinstance(sql, str):
        raise UnsupportedStatement(f"{view.full_name}: this view is none that Athena wrote")
    inner = parse(sql)
    for table in inner.find_all(exp.Table):
        if not table.db and isinstance(table.this, exp.Identifier) and not _is_cte(inner, table.name):
            table.set("db", exp.to_identifier(view.database))
    alias = exp.TableAlias(this=exp.to_identifier(node.alias or view.name))
    node.replace(exp.Subquery(this=inner, alias=alias, joins=node.args.get("joins")))


def _is_cte(tree: exp.Expr, name: str) -> bool:
    return any(cte.alias.lower() == name.lower() for cte in tree.find_all(exp.CTE))
