"""The syntax tree of FHIRPath. Every node carries the offset of the text it came from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Node:
    """Any expression."""

    position: int


@dataclass(frozen=True)
class Literal(Node):
    """A literal; `type` is a System type in FHIR spelling (string, integer, decimal, boolean, date ...)."""

    type: str
    text: str


@dataclass(frozen=True)
class Empty(Node):
    """`{}`."""


@dataclass(frozen=True)
class External(Node):
    """`%name`."""

    name: str


@dataclass(frozen=True)
class This(Node):
    """`$this`, `$index` or `$total`."""

    name: str


@dataclass(frozen=True)
class Member(Node):
    """`source.name`; no source means the context."""

    source: Node | None
    name: str


@dataclass(frozen=True)
class Call(Node):
    """`source.name(arguments)`; no source means the context."""

    source: Node | None
    name: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True)
class Index(Node):
    """`source[index]`."""

    source: Node
    index: Node


@dataclass(frozen=True)
class Unary(Node):
    """`+operand` or `-operand`."""

    operator: str
    operand: Node


@dataclass(frozen=True)
class Binary(Node):
    """`left operator right`."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True)
class TypeTest(Node):
    """`source is type` or `source as type`."""

    operator: str
    source: Node
    type: str


def type_name(node: Node) -> str | None:
    """The type that an argument spells (`Patient`, `FHIR.Patient`, 'Patient'), or None."""
    if isinstance(node, Literal) and node.type == "string":
        return node.text
    if isinstance(node, Member):
        if node.source is None:
            return node.name
        if isinstance(node.source, Member) and node.source.source is None:
            return f"{node.source.name}.{node.name}"
    return None
