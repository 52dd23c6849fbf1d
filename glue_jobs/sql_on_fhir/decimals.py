"""Decimals keep the text they are written with, where Spark's parser would read them through a double.

`1.50` is not `1.5` in FHIR: it was measured to the hundredth. Spark 3.5 and `from_json` copy a number by way of a
double; in quotes it is copied as it stands. So the numbers that a double would change are put in quotes before
parsing. Nearly no line has one, so what counts is how fast a line is found to have none: see `_suspect`.
"""

from __future__ import annotations

from collections.abc import Mapping

from glue_jobs.sql_on_fhir.needs import Need
from glue_jobs.sql_on_fhir.sql import case, quote_text

# A number whose text is not what Java prints for the double it stands for (or might not be): `1.50`, `1e3`, `-0`,
# more than 15 digits, or small and large ones that Java prints with an exponent. Whole lexemes only.
_LOSSY = (
    r"-?(?:[0-9]+\.[0-9]+0|0\.00[0-9]*|[0-9]{8,}\.[0-9]+|[0-9.]{16,}|[0-9]+(?:\.[0-9]+)?[eE][+-]?[0-9]+|(?<=-)0)"
    r"(?![0-9.eE])"
)
# A number that is none of these, certainly. Not all of them: what is left out is looked at again.
_PLAIN = r"(?!0\.00)(?:0|-?+[1-9][0-9]{0,6}+)(?:\.(?:0|[0-9]{0,7}[1-9]))?+(?![0-9.eE])"
# Java finds `"valueQuantity"` three times as fast as `"value"`, which most lines also have in several places; but
# each pattern turns the whole line into a Java string anew.
_MOST_HOLDERS = 2


def exact_decimals(text: str, need: Need) -> str:
    """The line of JSON in the SQL `text`, with the lossy numbers of needed decimals in quotes.

    An unescaped `"key"` followed by a colon cannot occur inside a JSON string, so nothing else can match. One
    replacement per key, because Java searches fast for a pattern that starts with fixed text.
    """
    places = need.holders("decimal")
    exact = text
    suspects: list[str] = []
    for key, holders in sorted(places.items()):
        pattern, replacement = rf'"{key}"\s*:\s*({_LOSSY})', f'"{key}":"$1"'
        exact = f"regexp_replace({exact}, {quote_text(pattern)}, {quote_text(replacement)})"
        if _told_apart_by_holder(key, places):
            suspects.extend(_suspect(holder, key) for holder in sorted(holders))
        else:
            suspects.append(_suspect_key(key))
    if not suspects:
        return text
    searched = " OR ".join(f"{text} RLIKE {quote_text(pattern)}" for pattern in suspects)
    return case((searched, exact), otherwise=text)


def _told_apart_by_holder(key: str, places: Mapping[str, frozenset[str]]) -> bool:
    """Whether looking at the objects that hold the decimal is enough: few, and none with a second decimal."""
    holders = places[key]
    others = frozenset[str]().union(*(found for other, found in places.items() if other != key))
    return "" not in holders and len(holders) <= _MOST_HOLDERS and not holders & others


def _suspect(holder: str, key: str) -> str:
    """A pattern that finds the holder anywhere but before a plain number: as `"valueQuantity": {"value": 7.2`.

    It may find lines that have no lossy number (a Quantity that begins with its unit), but misses none that do.
    """
    return rf'"{holder}"(?!\s*+:\s*+\{{\s*+"{key}"\s*+:\s*+{_PLAIN})'


def _suspect_key(key: str) -> str:
    """A pattern that finds the key before anything but a plain number or a text: cheaper than one for lossy numbers."""
    return rf'"{key}"\s*+:\s*+(?!"|{_PLAIN})'
