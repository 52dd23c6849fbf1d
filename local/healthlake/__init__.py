"""A simulator of the parts of AWS HealthLake that Watershed uses. README.md says what it models."""

from __future__ import annotations

from typing import Final

DATASTORE_ID: Final = "7ea5e7ed7ea5e7ed7ea5e7ed7ea5e7ed"
"""The data store that the local stack uses; HealthLake's ids are 32 characters of [0-9a-f]."""
