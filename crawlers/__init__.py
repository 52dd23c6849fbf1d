"""The crawlers, declared: which landing tables each keeps in the Glue Data Catalog."""

from crawlers.declarations import Crawler, load_crawlers
from crawlers.landing_catalog import table_input

__all__ = ["Crawler", "load_crawlers", "table_input"]
