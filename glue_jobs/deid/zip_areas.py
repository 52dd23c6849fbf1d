"""The three-digit ZIP code areas in which 20,000 people or fewer live: they are shown as 000.

45 CFR 164.514(b)(2)(i)(B) asks for the Census Bureau's current publicly available data. ``CENSUS_2000`` is the
list of 17 in the guidance of the Department of Health and Human Services (from the five-digit ZIP Code Tabulation
Areas of Census 2000); ``CENSUS_2010`` is what the tabulation areas of the 2010 census give by the same rule. An
area of either list is shown as 000. Nothing here was derived from the census of 2020: compare before you publish.
"""

from __future__ import annotations

from typing import Final

CENSUS_2000: Final = frozenset(
    [
        "036",
        "059",
        "063",
        "102",
        "203",
        "556",
        "692",
        "790",
        "821",
        "823",
        "830",
        "831",
        "878",
        "879",
        "884",
        "890",
        "893",
    ]
)
CENSUS_2010: Final = frozenset(
    ["036", "059", "102", "203", "205", "369", "556", "692", "821", "823", "878", "879", "884", "893"]
)
SPARSE: Final = CENSUS_2000 | CENSUS_2010
