from __future__ import annotations

from dataclasses import fields, replace

import pytest

from infra.settings import Settings, SettingsError
from tests.unit.infra.assemblies import ON_AWS

WRONG: list[tuple[str, object]] = [
    ("account", "12"),
    ("region", "Ireland"),
    ("healthlake_endpoint", "https://healthlake.eu-west-1.amazonaws.com/datastore"),
    ("healthlake_datastore_id", "a b"),
    ("prefix", "Watershed"),
    ("deidentified_twin", "yes"),
    ("export_schedule_minutes", 0),
    ("run_schedule", "every hour"),
    ("run_schedule", "cron(0 5 * * ?)"),
    ("poll_delay_seconds", 901),
    ("landing_window_seconds", 301),
    ("export_lease_seconds", 1),
    ("log_retention_days", 8),
    ("landing_transition_days", 29),
    ("crawl", "new folders"),
    ("glue_workers", 1),
    ("athena_cutoff_bytes", 9_999_999),
    ("firehose_tables", ("two words",)),
    ("change_feed", "streams"),
    ("change_window_seconds", 0),
    ("search_settle_seconds", 0),
    ("search_overlap_seconds", 0),
    ("delete_window_seconds", 0),
    ("delete_margin_seconds", 0),
    ("delete_max_resources", 0),
    ("existing_streams", {"watershed-registry": "arn:aws:dynamodb:eu-west-1:999999999999:table/x/stream/1"}),
    ("stream_key_arns", ("arn:aws:kms:eu-west-1:123456789012:alias/tables",)),
    ("alarm_email", "nobody"),
    ("api_domain_name", "https://api.example.org"),
    ("api_certificate_arn", "arn:aws:acm:us-east-1:123456789012:certificate/1"),
    ("api_base_path", "a/b"),
    ("web_acl_arn", "arn:aws:wafv2:us-east-1:123456789012:global/webacl/w/1"),
    ("console_domain_name", "https://lake.example.org"),
    ("console_certificate_arn", "arn:aws:acm:eu-west-1:123456789012:certificate/1"),
    ("console_web_acl_arn", "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/w/1"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_setting_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(SettingsError, match=f"Setting {name}: ") as refusal:
        replace(ON_AWS, **{name: value})  # type: ignore[arg-type]
    assert refusal.value.name == name


def test_every_setting_but_a_switch_can_be_wrong() -> None:
    checked = {name for name, _ in WRONG}
    assert checked == {each.name for each in fields(Settings) if each.type != "bool"}


def test_settings_come_from_the_environment() -> None:
    settings = Settings.from_environment(
        {
            "CDK_DEFAULT_ACCOUNT": "123456789012",
            "WATERSHED_REGION": "eu-west-2",
            "WATERSHED_HEALTHLAKE_DATASTORE_ID": "abc",
            "WATERSHED_EXPORT_SCHEDULE_MINUTES": "15",
            "WATERSHED_RETAIN_DATA": "false",
        }
    )
    assert settings.account == "123456789012"
    assert settings.healthlake_endpoint == "https://healthlake.eu-west-2.amazonaws.com"
    assert settings.export_schedule_minutes == 15
    assert settings.retain_data is False


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"WATERSHED_REGION": "eu-west-2"}, "account.*WATERSHED_ACCOUNT"),
        ({"WATERSHED_EXPORT_SCHEDULE_MINUTES": "often"}, "export_schedule_minutes.*whole number"),
        ({"WATERSHED_RETAIN_DATA": "yes"}, "retain_data.*true or false"),
    ],
)
def test_an_environment_that_says_too_little_or_nonsense_is_refused(
    environment: dict[str, str], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        Settings.from_environment(environment)


def test_names_follow_the_prefix() -> None:
    settings = replace(ON_AWS, prefix="north-lake")
    assert settings.bucket("landing") == "north-lake-landing-123456789012-eu-west-1"
    assert settings.database("curated") == "north_lake_curated"
    assert settings.arn("sqs", settings.name("export-start")) == (
        "arn:aws:sqs:eu-west-1:123456789012:north-lake-export-start"
    )


def test_tables_are_listed_with_commas() -> None:
    environment = {
        "WATERSHED_ACCOUNT": "123456789012",
        "WATERSHED_REGION": "eu-west-2",
        "WATERSHED_HEALTHLAKE_DATASTORE_ID": "abc",
    }
    tables = {"WATERSHED_FIREHOSE_TABLES": "readings, orders"}
    assert Settings.from_environment(environment | tables).firehose_tables == ("readings", "orders")
    assert Settings.from_environment(environment).firehose_tables == ()
