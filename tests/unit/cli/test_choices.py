"""What the environment chooses for the local stack."""

from __future__ import annotations

import pytest

from infra.settings import Settings, SettingsError
from local.stack import chosen


def test_a_laptop_takes_the_feed_and_the_events_and_keeps_its_own_account() -> None:
    environment = {
        "WATERSHED_CHANGE_FEED": "cloudtrail",
        "WATERSHED_CRAWL": "events",
        "WATERSHED_RESOURCE_EVENTS": "true",
        "WATERSHED_REGION": "eu-west-1",
    }
    settings = Settings.local("http://x", "store", **chosen(environment))
    assert (settings.change_feed, settings.crawl, settings.resource_events) == ("cloudtrail", "events", True)
    assert settings.region == Settings.local("http://x", "store").region


def test_a_choice_that_is_none_is_named() -> None:
    with pytest.raises(SettingsError, match="resource_events"):
        chosen({"WATERSHED_RESOURCE_EVENTS": "yes"})
