"""The de-identified twin of the curated tables: ``watershed_curated_deid``."""
