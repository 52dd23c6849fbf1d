"""A recursive-descent parser for the whole FHIRPath grammar (http://hl7.org/fhirpath/N1, appendix).

It accepts all of FHIRPath, so that the compiler can tell "not supported" from "not FHIRPath".
"""

from __future__ import annotations

from functools import lru_cache

from glue_jobs.sql_on_fhir.errors import FhirPathSyntaxError
from glue_jobs.sql_on_fhir.lexer import Token, tokenize
from glue_jobs.sql_on_fhir.syntax import (
    Binary,
    Call,
    Empty,
    External,
    Index,
    Literal,
    Member,
    Node,
    This,
    TypeTest,
    Unary,
)

# Loosest first; operators of one row bind equally, from left to right. `is` and `as` sit between | and +.
_LEVELS: tuple[frozenset[str], ...] = (
    frozenset({"implies"}),
    frozenset({"or", "xor"}),
    frozenset({"and"}),
    frozenset({"in", "contains"}),
    frozenset({"=", "~", "!=", "!~"}),
    frozenset({"<=", "<", ">", ">="}),
    frozenset({"|"}),
    frozenset({"is", "as"}),
    frozenset({"+", "-", "&"}),
    frozenset({"*", "/", "div", "mod"}),
)
_LITERALS = {"string": "string", "date": "date", "datetime": "dateTime"}
# Keywords that the grammar also allows as names of elements.
_NAME_KEYWORDS = frozenset({"as", "is", "in", "contains"})
_RESERVED = frozenset({"and", "or", "xor", "implies", "div", "mod", "true", "false"})


@lru_cache(maxsize=4096)
def parse(expression: str) -> Node:
    """The tree of an expression; raises FhirPathSyntaxError with the place at fault."""
    return _Parser(expression).parse()


class _Parser:
    def __init__(self, expression: str) -> None:
        self._expression = expression
        self._tokens = list(tokenize(expression))
        self._at = 0

    def parse(self) -> Node:
        node = self._binary(0)
        if self._peek().kind != "end":
            self._fail(f"unexpected {self._peek().text!r}")
        return node

    def _peek(self) -> Token:
        return self._tokens[self._at]

    def _next(self) -> Token:
        token = self._tokens[self._at]
        self._at += 1
        return token

    def _fail(self, reason: str) -> None:
        token = self._peek()
        reason = "the expression ends too early" if token.kind == "end" else reason
        raise FhirPathSyntaxError(reason, expression=self._expression, position=token.position)

    def _accept(self, symbol: str) -> bool:
        token = self._peek()
        if token.kind == "symbol" and token.text == symbol:
            self._at += 1
            return True
        return False

    def _expect(self, symbol: str) -> None:
        if not self._accept(symbol):
            self._fail(f"expected {symbol!r}, found {self._peek().text!r}")

    def _binary(self, level: int) -> Node:
        if level == len(_LEVELS):
            return self._unary()
        left = self._binary(level + 1)
        while self._peek().kind in ("symbol", "name") and self._peek().text in _LEVELS[level]:
            operator = self._next()
            if operator.text in ("is", "as"):
                left = TypeTest(operator.position, operator.text, left, self._type_specifier())
            else:
                left = Binary(operator.position, operator.text, left, self._binary(level + 1))
        return left

    def _type_specifier(self) -> str:
        name = self._identifier("a type name")
        return f"{name}.{self._identifier('a type name')}" if self._accept(".") else name

    def _unary(self) -> Node:
        token = self._peek()
        if token.kind == "symbol" and token.text in "+-":
            self._at += 1
            return Unary(token.position, token.text, self._unary())
        return self._postfix()

    def _postfix(self) -> Node:
        node = self._term()
        while True:
            position = self._peek().position
            if self._accept("."):
                node = self._invocation(node)
            elif self._accept("["):
                index = self._binary(0)
                self._expect("]")
                node = Index(position, node, index)
            else:
                return node

    def _invocation(self, source: Node | None) -> Node:
        token = self._peek()
        if token.kind == "variable":
            self._at += 1
            return This(token.position, token.text)
        if source is not None and token.kind == "name":
            # The grammar wants its own words delimited (`text.div`), but after a dot nothing else can be meant.
            self._at += 1
            name = token.text
        else:
            name = self._identifier("the name of an element or function")
        if token.kind == "name" and self._accept("("):
            return Call(token.position, source, name, self._arguments())
        return Member(token.position, source, name)

    def _arguments(self) -> tuple[Node, ...]:
        if self._accept(")"):
            return ()
        arguments = [self._binary(0)]
        while self._accept(","):
            arguments.append(self._binary(0))
        self._expect(")")
        return tuple(arguments)

    def _identifier(self, what: str) -> str:
        token = self._peek()
        if token.kind == "quoted" or (token.kind == "name" and token.text not in _RESERVED):
            self._at += 1
            return token.text
        self._fail(f"expected {what}, found {token.text!r}")
        raise AssertionError("unreachable")

    def _term(self) -> Node:
        token = self._peek()
        if token.kind in ("name", "quoted", "variable") and token.text not in ("true", "false"):
            return self._invocation(None)
        if token.kind == "external":
            self._at += 1
            return External(token.position, token.text)
        if self._accept("("):
            node = self._binary(0)
            self._expect(")")
            return node
        if self._accept("{"):
            self._expect("}")
            return Empty(token.position)
        return self._literal()

    def _literal(self) -> Node:
        token = self._peek()
        if token.kind in _LITERALS:
            self._at += 1
            return Literal(token.position, _LITERALS[token.kind], token.text)
        if token.kind == "time":
            self._at += 1
            return Literal(token.position, "time", token.text[2:])
        if token.kind == "name" and token.text in ("true", "false"):
            self._at += 1
            return Literal(token.position, "boolean", token.text)
        if token.kind == "number":
            self._at += 1
            unit = self._peek()
            if unit.kind == "string" or unit.text.removesuffix("s") in _UNITS:
                self._fail("quantity literals are not supported; compare value and unit instead")
            return Literal(token.position, "decimal" if "." in token.text else "integer", token.text)
        self._fail(f"unexpected {token.text!r}")
        raise AssertionError("unreachable")


_UNITS = frozenset({"year", "month", "week", "day", "hour", "minute", "second", "millisecond"})
