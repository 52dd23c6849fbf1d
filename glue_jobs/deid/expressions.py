"""What each treatment is in SQL: Spark's own functions, and nothing else, so that no row passes through Python. Pure.

The secret is in no expression: two columns beside the rows hold what HMAC makes of it, because the text of a
query goes to plans, logs and the pages of Spark.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from glue_jobs.deid.zip_areas import SPARSE
from glue_jobs.lake.errors import ArgumentError
from glue_jobs.lake.tables import literal, quoted
from schemas.deid_table import DeidTable

MODES = ("shift", "year")
INNER, OUTER, OFFSET = "_deid_inner", "_deid_outer", "_deid_offset"
"""Columns beside the rows: the secret's two pads (binary), and the days by which a row's dates are shifted."""
KEY_DIGITS = 32
"""Hexadecimal digits of a keyed hash: 128 of its 256 bits, as many as RFC 2104 (section 5) asks for at least."""
LONGEST_SHIFT = 365
"""Days. Dates move back by 1 to so many: never forward, so that none lies in the future."""
OLDEST = 90
"""Ages from here on are one category, and so are the years that tell them."""
AGE_CODES = ("21611-9", "21612-7", "29553-5", "30525-0", "30972-4", "35659-2", "39016-1")
"""LOINC's codes of a person's age: HL7's value set ActContextAgeType, age at specimen collection, age at death."""
_BLOCK = 64
_US = ("US", "USA", "UNITED STATES", "UNITED STATES OF AMERICA")
_KEY, _OFFSET, _CHECK = "key:", "offset:", "check:"


@dataclass(frozen=True)
class Rules:
    """How dates are treated: ``mode`` is one of ``MODES``; ``year`` the one in which the twin is made."""

    mode: str
    year: int

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ArgumentError(f"--deid is {self.mode!r}", f"It must be {' or '.join(MODES)}")

    @property
    def first_year(self) -> int:
        """Who was born in it or earlier is, or turns, 90 in ``year``: all these years are shown as this one."""
        return self.year - OLDEST


def pads(secret: bytes) -> tuple[bytes, bytes]:
    """What HMAC-SHA-256 (RFC 2104) puts before a message, and before the inner hash."""
    key = hashlib.sha256(secret).digest() if len(secret) > _BLOCK else secret
    key = key.ljust(_BLOCK, b"\0")
    return bytes(each ^ 0x36 for each in key), bytes(each ^ 0x5C for each in key)


def secret_check(secret: bytes) -> str:
    """Tells one secret from another, and nothing about either."""
    return hmac.new(secret, _CHECK.encode(), hashlib.sha256).hexdigest()[:KEY_DIGITS]


def key_of(secret: bytes, value: str) -> str:
    """What ``keyed_hash`` computes, for one key."""
    return hmac.new(secret, f"{_KEY}{value}".encode(), hashlib.sha256).hexdigest()[:KEY_DIGITS]


def keyed_hash(column: str) -> str:
    """SQL: the keyed hash of a column as text; null for null. Equal values have equal hashes in all tables."""
    return f"substring({_hmac(_KEY, column)}, 1, {KEY_DIGITS})"


def offset(subject: str) -> str:
    """SQL: the days, negative, by which the dates of a subject are shifted; null for null."""
    number = f"cast(conv(substring({_hmac(_OFFSET, subject)}, 1, 8), 16, 10) as bigint)"
    return f"cast(-1 - pmod({number}, {LONGEST_SHIFT}) as int)"


def expression(table: DeidTable, column: str, type_: str, rules: Rules) -> str:
    """SQL: what the twin shows of a column of a Spark type."""
    name = quoted(column)
    match table.treatments[column]:
        case "key":
            return keyed_hash(column)
        case "date":
            return _date(name, type_, rules)
        case "age":
            return _age(name, quoted(table.besides[column]), rules)
        case "zip":
            return _zip(name, quoted(table.besides[column]))
        case "measure":
            ages = ", ".join(map(literal, AGE_CODES))
            return f"case when coalesce({quoted(table.besides[column])} in ({ages}), false) then null else {name} end"
    return name


def twin_type(treatment: str, type_: str) -> str:
    """The Spark type that a column of ``type_`` has in the twin."""
    return "string" if treatment in ("key", "zip") else type_


def selection(table: DeidTable, types: Mapping[str, str], rules: Rules) -> list[str]:
    """SQL expressions, named, of the twin's columns over the rows of the table with ``INNER``, ``OUTER`` and
    ``OFFSET``; in the order of ``types``, which maps the table's columns to Spark types."""
    return [
        f"{expression(table, column, type_, rules)} as {quoted(column)}"
        for column, type_ in types.items()
        if column in table.treatments
    ]


def _hmac(purpose: str, column: str) -> str:
    message = f"cast(concat({literal(purpose)}, cast({quoted(column)} as string)) as binary)"
    inner = f"unhex(sha2(concat({INNER}, {message}), 256))"
    return f"sha2(concat({OUTER}, {inner}), 256)"


def _date(name: str, type_: str, rules: Rules) -> str:
    if type_ == "string":
        return _date_text(name, rules)
    first = f"make_date({rules.first_year}, 1, 1)"
    if type_ == "timestamp":
        first = f"make_timestamp({rules.first_year}, 1, 1, 0, 0, 0)"
    if rules.mode == "year":
        shown = f"trunc({name}, 'YEAR')" if type_ == "date" else f"date_trunc('YEAR', {name})"
    else:
        shown = f"date_add({name}, {OFFSET})" if type_ == "date" else f"timestampadd(DAY, {OFFSET}, {name})"
    return f"case when year({name}) <= {rules.first_year} then {first} else {shown} end"


def _date_text(name: str, rules: Rules) -> str:
    """A FHIR date or dateTime as written: to the day at most, for its offset from UTC tells a place.

    What is less precise is shifted by its middle, and stays as imprecise.
    """
    middle = (
        f"try_cast(case length({name}) when 4 then concat({name}, '-07-01') when 7 then concat({name}, '-15')"
        f" else substring({name}, 1, 10) end as date)"
    )
    digits = "4" if rules.mode == "year" else f"least(length({name}), 10)"
    shown = f"substring(cast({_date(middle, 'date', rules)} as string), 1, {digits})"
    return f"case when {name} rlike '^[0-9]{{4}}(-[0-9]{{2}}(-[0-9]{{2}}(T.*)?)?)?$' then {shown} end"


def _age(name: str, at: str, rules: Rules) -> str:
    """An age of somebody who is 90 or older by now tells their year of birth, together with its time."""
    born = f"year({at}) - {name} - 1"
    return f"case when {name} >= {OLDEST} then {OLDEST} when {born} <= {rules.first_year} then null else {name} end"


def _zip(name: str, country: str) -> str:
    abroad = f"upper(trim({country})) not in ({', '.join(map(literal, _US))})"
    area = f"substring({name}, 1, 3)"
    sparse = ", ".join(map(literal, sorted(SPARSE)))
    return (
        f"case when coalesce({abroad}, false) then null"
        f" when {name} rlike '^[0-9]{{5}}(-?[0-9]{{4}})?$'"
        f" then case when {area} in ({sparse}) then '000' else {area} end end"
    )
