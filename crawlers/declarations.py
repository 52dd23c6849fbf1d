"""Crawler declarations. `AWS::Glue::Crawler` is made from them, and the local crawl does what they say.

The landing tables are declared in `schemas/`, so a crawler need not guess columns from data, which would give
other tables on other days. It crawls *catalog targets*: the declared tables' folders. What it adds are
partitions, and they inherit the table's columns.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from schemas.item_type import load_item_types
from schemas.landing_table import LandingTable, item_change_tables, load_landing_tables


@dataclass(frozen=True)
class Crawler:
    """One crawler over some of the landing tables.

    Attributes
    ----------
    name : what follows the prefix, such as `landing-items`
    tables : the tables whose folders it crawls, all in the landing database
    """

    name: str
    description: str
    tables: tuple[LandingTable, ...]

    def targets(self, database: str) -> dict[str, Any]:
        """`Targets`, as the Glue API takes it."""
        return {
            "CatalogTargets": [{"DatabaseName": database, "Tables": [table.name for table in self.tables]}]
        }

    @property
    def schema_change_policy(self) -> dict[str, str]:
        """New partitions are always added. Columns stay as declared, and nothing is ever removed: with
        catalog targets `DeleteBehavior` must be `LOG`."""
        return {"UpdateBehavior": "LOG", "DeleteBehavior": "LOG"}

    @property
    def recrawl_policy(self) -> dict[str, str]:
        """Everything each time.

        Only-new-folders is not offered for catalog targets. Events of S3 are, for a crawler of a single target,
        and a trigger starts two crawlers at most: a crawler for each landing table would not fit into the one
        trigger that starts a run. Nor would they be cheaper: a crawl is billed for ten minutes at least, and a
        million objects are listed in a thousand requests.
        https://docs.aws.amazon.com/glue/latest/dg/crawler-s3-event-notifications.html
        """
        return {"RecrawlBehavior": "CRAWL_EVERYTHING"}

    @property
    def configuration(self) -> str:
        """`Configuration`: partitions, old ones too, take their columns and format from the table."""
        return json.dumps(
            {
                "Version": 1.0,
                "CrawlerOutput": {"Partitions": {"AddOrUpdateBehavior": "InheritFromTable"}},
                "Grouping": {"TableGroupingPolicy": "CombineCompatibleSchemas"},
            },
            separators=(",", ":"),
        )


def load_crawlers() -> tuple[Crawler, ...]:
    """Every crawler: one for the changes of items, one for FHIR exports.

    Raises
    ------
    SchemaError : a declaration under `schemas/` is wrong
    """
    landing = load_landing_tables()
    changes = item_change_tables(landing["item_change"], load_item_types().values())
    others = tuple(table for name, table in sorted(landing.items()) if name != "item_change")
    return (
        Crawler(
            "landing-items",
            "Partitions of the item changes that landed",
            tuple(changes[name] for name in sorted(changes)),
        ),
        Crawler("landing-fhir", "Partitions of the FHIR exports and changes that landed", others),
    )
