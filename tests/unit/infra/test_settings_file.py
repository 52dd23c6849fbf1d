from __future__ import annotations

import re
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from infra.settings import Settings, SettingsError
from infra.settings_file import aws_settings, read_settings_file

EXAMPLE = Path(__file__).parents[3] / "infra" / "settings.example.yaml"
_ESSENTIAL = 'account: "123456789012"\nregion: eu-west-1\nhealthlake_datastore_id: abc\n'


def _written(folder: Path, text: str) -> Path:
    file = folder / "watershed.yaml"
    file.write_text(text)
    return file


def test_the_example_names_every_setting_with_its_default() -> None:
    example = read_settings_file(EXAMPLE)
    named = EXAMPLE.read_text()
    for each in fields(Settings):
        assert f"{each.name}:" in named, each.name
        if each.default is not MISSING:
            given = example[each.name]
            assert (tuple(given) if isinstance(given, list) else given) == each.default, each.name


def test_the_example_is_a_deployment() -> None:
    settings = aws_settings({}, EXAMPLE)
    assert settings.makes_datastore
    assert settings.healthlake_endpoint == "https://healthlake.eu-west-1.amazonaws.com"


def test_the_file_of_the_working_folder_is_read_and_variables_count_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _written(tmp_path, f"{_ESSENTIAL}glue_workers: 4\nlog_retention_days: 30\n")
    settings = aws_settings({"WATERSHED_GLUE_WORKERS": "8"})
    assert (settings.glue_workers, settings.log_retention_days) == (8, 30)


def test_a_variable_names_another_file(tmp_path: Path) -> None:
    other = _written(tmp_path, f"{_ESSENTIAL}prefix: north-lake\n")
    assert aws_settings({"WATERSHED_SETTINGS": str(other)}).prefix == "north-lake"


def test_tables_that_exist_are_named_with_their_streams(tmp_path: Path) -> None:
    stream = "arn:aws:dynamodb:eu-west-1:123456789012:table/watershed-registry/stream/2026-01-01T00:00:00.000"
    text = f"{_ESSENTIAL}existing_streams:\n  watershed-registry: {stream}\nfirehose_tables: [t-a, t-b]\n"
    settings = aws_settings({}, _written(tmp_path, text))
    assert settings.existing_streams == {"watershed-registry": stream}
    assert settings.firehose_tables == ("t-a", "t-b")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("account: 012345670123\n", "account: .* must be text, in quotes"),
        (f"{_ESSENTIAL}glue_worker: 4\n", "glue_worker: is unknown; did you mean glue_workers"),
        (f"{_ESSENTIAL}glue_workers: many\n", "glue_workers: 'many' must be a whole number"),
        (f"{_ESSENTIAL}glue_workers: yes\n", "glue_workers: True must be a whole number"),
        (f"{_ESSENTIAL}fan_out: 'no'\n", "fan_out: 'no' must be true or false"),
        (f"{_ESSENTIAL}firehose_tables: watershed-registry\n", "firehose_tables: .* must be a list"),
        (f"{_ESSENTIAL}stream_key_arns: [1]\n", "stream_key_arns: must hold text only"),
        (f"{_ESSENTIAL}existing_streams: {{t: arn}}\n", "existing_streams: .* must be the ARN of each table"),
        (f"{_ESSENTIAL}alarm_email: nobody\n", "alarm_email: 'nobody' must be an address"),
        ("region: eu-west-1\n", "account: is missing; put it into the settings file"),
        ("a: b: c\n", "is not YAML at line 1"),
        ("- a\n", "must hold a line"),
    ],
)
def test_a_file_that_says_nonsense_is_refused_by_name(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        aws_settings({}, _written(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("account: 1\nreigon: eu-west-1\nfan_out: 2\n", ["account", "reigon", "fan_out"]),
        (
            f"{_ESSENTIAL}crawl: event\nglue_workers: 1\nalarm_email: nobody\n",
            ["crawl", "glue_workers", "alarm_email"],
        ),
        ("{}\n", ["account", "region", "healthlake_datastore_id"]),
    ],
)
def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path, text: str, names: list[str]) -> None:
    with pytest.raises(SettingsError) as refusal:
        aws_settings({}, _written(tmp_path, text))
    assert sorted(re.findall(r"^Setting (\w+):", str(refusal.value), re.MULTILINE)) == sorted(names)
    assert refusal.value.name in names


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nothing.yaml: cannot be read; copy"):
        aws_settings({}, tmp_path / "nothing.yaml")
