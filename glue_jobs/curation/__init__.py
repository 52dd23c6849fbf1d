"""Curating: views and models into audited Iceberg tables, by what changed."""

DATA_DOCS = "data-docs/index.html"
"""Where the data docs' page lies in their bucket."""
