"""Erasure: a subject out of every table, its history and snapshots, and the landing zone."""
