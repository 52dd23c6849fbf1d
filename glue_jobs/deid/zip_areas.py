"""The three-digit ZIP code areas in which 20,000 people or fewer live: they are shown as 000.

45 CFR 164.514(b)(2)(i)(B) asks for the Census Bureau's current publicly available data, by which the list of a new
census replaces the last. An area of any of these lists is shown as 000 all the same: who publishes next to older
data shows no more than that did.
"""

from __future__ import annotations

from typing import Final

CENSUS_2020: Final = frozenset(
    [
        "036",
        "059",
        "102",
        "202",
        "203",
        "204",
        "205",
        "369",
        "556",
        "692",
        "753",
        "772",
        "821",
        "823",
        "878",
        "879",
        "884",
        "893",
    ]
)
"""The list of the Health Resources and Services Administration for its uniform data system, from the 2020 census
(its answer, quoted: https://github.com/drajer-health/uds-plus/issues/35). In 202, 204, 753 and 772 nobody lives."""
CENSUS_2010: Final = frozenset(
    ["036", "059", "102", "203", "205", "369", "556", "692", "821", "823", "878", "879", "884", "893"]
)
"""What the tabulation areas of the 2010 census give by the same rule."""
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
"""The list in the guidance of the Department of Health and Human Services of 2012."""
SPARSE: Final = CENSUS_2020 | CENSUS_2010 | CENSUS_2000
