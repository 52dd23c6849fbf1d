"""Curating: views and models into audited Iceberg tables, by what changed."""
