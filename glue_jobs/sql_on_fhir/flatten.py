"""Selections to steps: the specification's processing model, unrolled at compile time.

Two forms exist. `_Flattener` makes steps: every iteration becomes one Spark generator, sibling selections follow
each other (which is their cross product), and nothing is collected. Branches of a `unionAll` cannot be steps,
since they add rows side by side: `_rows` builds them as arrays of structs inside one expression.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from glue_jobs.sql_on_fhir.columns import Output, compile_column, same_type
from glue_jobs.sql_on_fhir.compiler import Compiler
from glue_jobs.sql_on_fhir.errors import FhirPathTypeError, ViewDefinitionError
from glue_jobs.sql_on_fhir.needs import STRUCT, Need, root_need
from glue_jobs.sql_on_fhir.parser import parse
from glue_jobs.sql_on_fhir.repeat import node_type, repeated_nodes
from glue_jobs.sql_on_fhir.scope import Scope
from glue_jobs.sql_on_fhir.sql import case, named_struct, quote_name
from glue_jobs.sql_on_fhir.steps import ROOT, CompiledView, Keep, Let, Step, Unnest
from glue_jobs.sql_on_fhir.syntax import External, Member, Node
from glue_jobs.sql_on_fhir.values import EMPTY, Value
from glue_jobs.sql_on_fhir.views import Column, Select, View


@dataclass(frozen=True)
class Options:
    """`lexical` keeps values in their FHIR form."""

    lexical: bool = False


@dataclass
class _Rows:
    """Rows for one focus: fields in column order, some of which come from arrays that are joined in."""

    fields: list[tuple[str, str]] = field(default_factory=list)
    joins: list[tuple[str, str]] = field(default_factory=list)  # (lambda variable, array of structs)
    outputs: list[Output] = field(default_factory=list)

    def add(self, output: Output, sql: str) -> None:
        self.fields.append((output.name, sql))
        self.outputs.append(output)

    @property
    def struct(self) -> str:
        return named_struct(self.fields)

    def array(self) -> str:
        """All rows: the cross product of what is joined."""
        sql = self.struct if self.joins else f"array({self.struct})"
        for depth, (name, array) in enumerate(reversed(self.joins)):
            sql = f"transform({array}, {name} -> {sql})"
            sql = f"flatten({sql})" if depth else sql
        return sql


def compile_view(view: View, need: Need, shapes: Mapping[str, Need], options: Options) -> CompiledView:
    """The steps of a view; the JSON keys it reads are registered with the tree of its resource type.

    `shapes` has the type of the nodes of every repeat of any view of the resource type.
    """
    with _named(view):
        return _Flattener(view, need, shapes, options).compile()


def repeated_types(view: View) -> tuple[str, ...]:
    """The types of the nodes of a view's repeats."""
    if not view.repeats:
        return ()
    with _named(view):
        flattener = _Flattener(view, root_need(view.resource), {}, Options())
        flattener.compile()
        return tuple(flattener.repeated)


@contextmanager
def _named(view: View) -> Iterator[None]:
    try:
        yield
    except ViewDefinitionError as error:
        raise error.at(view=view.name) from None


@contextmanager
def _place(location: str) -> Iterator[None]:
    try:
        yield
    except ViewDefinitionError as error:
        raise error.at(location=location) from None


class _Flattener:
    def __init__(self, view: View, need: Need, shapes: Mapping[str, Need], options: Options) -> None:
        self.view, self.options = view, options
        root = Value(ROOT, view.resource, need=need)
        self.scope = Scope(root, root, view.constants, shapes=shapes)
        self.steps: list[Step] = []
        self.repeated: list[str] = []

    def compile(self) -> CompiledView:
        for where in self.view.wheres:
            with _place(where.location):
                self.steps.append(Keep(self._condition(where.path)))
        outputs: list[Output] = []
        for select in self.view.selects:
            outputs += self._select(select, self.scope, None)
        return CompiledView(self.view.name, self.view.resource, tuple(self.steps), tuple(outputs))

    def _condition(self, path: str) -> str:
        compiler, node = Compiler(path, self.scope), parse(path)
        value = compiler.compile()
        if value.type not in ("boolean", EMPTY) and not (value.choice and "boolean" in value.choice.types):
            raise FhirPathTypeError(f"a where is a boolean, not a {value.type}", expression=path, position=0)
        return compiler.truth(node, value)

    # Iteration ------------------------------------------------------------------------------------------------

    def _foci(self, select: Select, scope: Scope, *, stepwise: bool = False) -> Value:
        """What a select iterates over; `stepwise`, steps of their own unnest what its path goes through."""
        if select.iteration == "repeat":
            with _place(f"{select.location}.repeat"):
                kind = node_type(select.paths, scope)
                self.repeated.append(kind)
                if kind not in scope.shapes:  # compiled to find the types, not to be run
                    return Value("array()", kind, many=True, need=Need(STRUCT, False, kind))
                return repeated_nodes(select.paths, kind, scope)
        with _place(f"{select.location}.{select.iteration}"):
            compiler, node = Compiler(select.paths[0], scope), parse(select.paths[0])
            found = self._walked(node, compiler) if stepwise else compiler.compile()
            return compiler.settle(node, found)

    def _walked(self, node: Node, compiler: Compiler) -> Value:
        """The value of a path such as `category.coding`, with each array of structures above it unnested.

        Generators are plain Java code in Spark, and what joins inner arrays into one is not.
        """
        if not isinstance(node, Member) or node.source is None:
            return compiler.visit(node, compiler.scope.focus)
        source = self._walked(node.source, compiler)
        if source.many and source.need is not None:
            item = compiler.scope.fresh("f")
            self.steps.append(Unnest(f"explode({source.sql})", (item,)))
            source = source.single(item)
        return compiler.member(node, source, node.name)

    def _select(self, select: Select, scope: Scope, missing: str | None) -> list[Output]:
        """Add the steps of a select. `missing` is true where an outer forEachOrNull found nothing."""
        if select.iteration:
            scope, missing = self._iterate(select, scope, missing)
        outputs = [self._guarded(column, scope, missing) for column in select.columns]
        for child in select.selects:
            outputs += self._select(child, scope, missing)
        if select.unions:
            outputs += self._union(select, scope, missing)
        return outputs

    def _iterate(self, select: Select, scope: Scope, missing: str | None) -> tuple[Scope, str | None]:
        outer, counts = select.iteration == "forEachOrNull", _counts(select)
        # Where neither a place in the collection nor its being empty matters, nulls go after they are unnested.
        plain = not outer and not counts
        foci = self._foci(select, scope, stepwise=plain and missing is None)
        item = scope.fresh("f")
        inner = replace(_inside(scope, foci, item), row_index="0")
        keep = Keep(" OR ".join(filter(None, (f"{item} IS NOT NULL", missing))))
        if not foci.many:
            self.steps.append(Let(item, foci.sql))
            if outer:
                return inner, f"{item} IS NULL"
            self.steps.append(keep)
            return inner, missing
        array = foci.sql if plain else foci.array
        if missing:
            array = case((missing, "array(NULL)"), otherwise=array)
        names = (f"{item}_at", item) if counts else (item,)
        generator = ("posexplode" if counts else "explode") + ("_outer" if outer else "")
        self.steps.append(Unnest(f"{generator}({array})", names))
        if plain and not foci.clean:
            self.steps.append(keep)
        if counts:
            inner = replace(inner, row_index=f"coalesce({item}_at, 0)")
        return inner, f"{item} IS NULL" if outer or missing else None

    def _column(self, column: Column, scope: Scope) -> Output:
        with _place(column.location):
            compiler = Compiler(column.path, scope)
            return compile_column(
                compiler, parse(column.path), column, compiler.compile(), self.options.lexical
            )

    def _guarded(self, column: Column, scope: Scope, missing: str | None) -> Output:
        """A column that is NULL where its forEachOrNull found nothing; %rowIndex is 0 there."""
        output = self._column(column, scope)
        if missing is None or _is_row_index(column):
            return output
        return replace(output, sql=case((f"NOT ({missing})", output.sql)))

    def _union(self, select: Select, scope: Scope, missing: str | None) -> list[Output]:
        rows, outputs = self._branches(select, scope)
        if missing:
            rows = case((missing, f"array({self._null_row(select, outputs)})"), otherwise=rows)
        prefix = scope.fresh("u")
        names = tuple(f"{prefix}_{output.name}" for output in outputs)
        self.steps.append(Unnest(f"inline({rows})", names))
        return [
            replace(output, sql=quote_name(name), misfit=None)
            for output, name in zip(outputs, names, strict=True)
        ]

    # Unions ---------------------------------------------------------------------------------------------------

    def _branches(self, select: Select, scope: Scope) -> tuple[str, list[Output]]:
        """The rows of a unionAll as one array of structs, and its columns."""
        branches = [self._rows(branch, scope) for branch in select.unions]
        untyped = _untyped(select.unions, [outputs for _, outputs in branches])
        if untyped:
            return self._branches(select.declaring(untyped), scope)
        first = branches[0][1]
        for branch, (_, outputs) in zip(select.unions, branches, strict=True):
            _check_types(branch, first, outputs)
        arrays = [array for array, _ in branches]
        return (arrays[0] if len(arrays) == 1 else f"concat({', '.join(arrays)})"), first

    def _rows(self, select: Select, scope: Scope) -> tuple[str, list[Output]]:
        """The rows of a select for one focus, as an array of structs that is never NULL."""
        if not select.iteration:
            rows = self._row_parts(select, scope)
            return rows.array(), rows.outputs
        foci = self._foci(select, scope)
        if not foci.many:
            rows = self._row_parts(select, replace(scope, focus=replace(foci, literal=None), row_index="0"))
            sql = case((foci.present, rows.array()), otherwise=self._no_rows(select, rows.outputs))
            return sql, rows.outputs
        item, at = scope.fresh("f"), scope.fresh("i")
        rows = self._row_parts(select, replace(_inside(scope, foci, item), row_index=at))
        variables = f"({item}, {at})" if _counts(select) else item
        if rows.joins:
            sql = f"flatten(transform({foci.array}, {variables} -> {rows.array()}))"
        else:
            sql = f"transform({foci.array}, {variables} -> {rows.struct})"
        if select.iteration == "forEachOrNull":
            sql = case((f"size({foci.array}) > 0", sql), otherwise=self._no_rows(select, rows.outputs))
        return f"coalesce({sql}, {_empty_rows(rows.outputs)})", rows.outputs

    def _row_parts(self, select: Select, scope: Scope) -> _Rows:
        rows = _Rows()
        for column in select.columns:
            output = self._column(column, scope)
            rows.add(output, output.sql)
        for child in select.selects:
            self._join_child(rows, child, scope)
        if select.unions:
            self._join(rows, *self._branches(select, scope), scope)
        return rows

    def _join_child(self, rows: _Rows, child: Select, scope: Scope) -> None:
        if child.iteration or child.unions:
            self._join(rows, *self._rows(child, scope), scope)
            return
        parts = self._row_parts(child, scope)
        rows.fields += parts.fields
        rows.joins += parts.joins
        rows.outputs += parts.outputs

    def _join(self, rows: _Rows, array: str, outputs: list[Output], scope: Scope) -> None:
        item = scope.fresh("j")
        rows.joins.append((item, array))
        for output in outputs:
            rows.add(output, f"{item}.{quote_name(output.name)}")

    def _no_rows(self, select: Select, outputs: Sequence[Output]) -> str:
        if select.iteration == "forEachOrNull":
            return f"array({self._null_row(select, outputs)})"
        return _empty_rows(outputs)

    def _null_row(self, select: Select, outputs: Sequence[Output]) -> str:
        indexes = {column.name for column in select.all_columns() if _is_row_index(column)}
        return named_struct(
            (o.name, "0" if o.name in indexes else f"CAST(NULL AS {o.spark_type})") for o in outputs
        )


def _inside(scope: Scope, foci: Value, item: str) -> Scope:
    """The scope of one item of an iteration."""
    return replace(scope, focus=foci.single(item))


def _empty_rows(outputs: Sequence[Output]) -> str:
    fields = ", ".join(f"{quote_name(output.name)}: {output.spark_type}" for output in outputs)
    return f"CAST(array() AS ARRAY<STRUCT<{fields}>>)"


def _untyped(unions: Sequence[Select], outputs: Sequence[Sequence[Output]]) -> dict[str, Column]:
    """The columns of branches that are `{}` and say not of what type, as the other branches have them; by location."""
    found: dict[str, Column] = {}
    columns = [list(branch.all_columns()) for branch in unions]
    for same in zip(*(zip(c, o, strict=True) for c, o in zip(columns, outputs, strict=True)), strict=True):
        typed = next(((column, output) for column, output in same if output.fhir_type != EMPTY), None)
        if typed is None:
            continue
        for column, output in same:
            if output.fhir_type == EMPTY:
                found[column.location] = replace(
                    column,
                    type=typed[1].fhir_type,
                    collection=typed[0].collection,
                    tags=column.tags or typed[0].tags,
                )
    return found


def _check_types(branch: Select, expected: Sequence[Output], found: Sequence[Output]) -> None:
    for theirs, ours in zip(expected, found, strict=True):
        if not same_type(theirs, ours):
            reason = f"Union Branches Inconsistent: {ours.name} is {ours.fhir_type}, not {theirs.fhir_type}"
            raise ViewDefinitionError(reason, location=branch.location)


def _is_row_index(column: Column) -> bool:
    node = parse(column.path)
    return isinstance(node, External) and node.name == "rowIndex"


def _counts(select: Select) -> bool:
    """Whether anything below the select may read %rowIndex; numbering rows costs a little."""
    texts = [column.path for column in select.columns]
    texts += [path for child in (*select.selects, *select.unions) for path in child.paths]
    return any("rowIndex" in text for text in texts) or any(
        _counts(child) for child in (*select.selects, *select.unions)
    )
