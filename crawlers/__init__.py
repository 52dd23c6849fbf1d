"""The crawlers, declared: which landing tables each keeps in the Glue Data Catalog."""

from crawlers.declarations import Crawler, EventQueue, load_crawlers
from crawlers.landing_catalog import table_input

__all__ = ["Crawler", "EventQueue", "load_crawlers", "table_input"]
