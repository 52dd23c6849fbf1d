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
class EventQueue:
    """The ARNs of the queue where S3 tells a crawler what changed, and of its dead letters."""

    arn: str
    dead_letters_arn: str


@dataclass(frozen=True)
class Crawler:
    """One crawler over some of the landing tables.

    It looks at everything each time, or, given a queue, only at the folders that S3's events name. Either way it
    has one target, as event mode asks: a target may hold several tables, if they lie in one bucket.
    https://docs.aws.amazon.com/glue/latest/dg/crawler-s3-event-notifications.html

    Attributes
    ----------
    name : what follows the prefix, such as `landing-items`
    tables : the tables whose folders it crawls, all in the landing database
    """

    name: str
    description: str
    tables: tuple[LandingTable, ...]

    @property
    def event_queue(self) -> str:
        """What follows the prefix in the name of its queue."""
        return f"{self.name}-events"

    @property
    def event_prefixes(self) -> tuple[str, ...]:
        """The folders at the bucket's root that hold its tables: S3 takes no two notifications of which one's
        prefix begins the other's, and these cannot."""
        return tuple(sorted({f"{table.prefix.partition('/')[0]}/" for table in self.tables}))

    def targets(self, database: str, events: EventQueue | None = None) -> dict[str, Any]:
        """`Targets`, as the Glue API takes it."""
        target: dict[str, Any] = {"DatabaseName": database, "Tables": [table.name for table in self.tables]}
        if events:
            target |= {"EventQueueArn": events.arn, "DlqEventQueueArn": events.dead_letters_arn}
        return {"CatalogTargets": [target]}

    @property
    def schema_change_policy(self) -> dict[str, str]:
        """New partitions are always added. Columns stay as declared, and nothing is ever removed: with
        catalog targets `DeleteBehavior` must be `LOG`."""
        return {"UpdateBehavior": "LOG", "DeleteBehavior": "LOG"}

    def recrawl_policy(self, events: EventQueue | None = None) -> dict[str, str]:
        """Only-new-folders is not offered for catalog targets."""
        return {"RecrawlBehavior": "CRAWL_EVENT_MODE" if events else "CRAWL_EVERYTHING"}

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
