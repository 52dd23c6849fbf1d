"""Pipes, Firehose and the change bus: limits, retries, and where what fails goes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from infra import fan_out, firehose
from infra.assembly import SynthesisError, synthesized
from infra.pipe_record import EVERY_CHANGE, RECORD_TEMPLATE
from lambdas.partition_item_changes import transform
from lambdas.shape_item_change import shape
from lambdas.shared.item_change import EVENT_NAMES, ItemTypeIndex, item_change
from local.emulator.pipe_template import render
from schemas.item_type import load_item_types
from tests.unit.infra.assemblies import ON_AWS, local
from tests.unit.infra.assemblies import template as template_of
from tests.unit.items.records import LANDED_ONCE, patient, record, registry_key

Resources = Callable[[str], dict[str, dict[str, Any]]]


def _pipes(resources: Resources) -> dict[str, dict[str, Any]]:
    found = resources("AWS::Pipes::Pipe").values()
    return {each["Properties"]["Name"]: each["Properties"] for each in found}


def _queue(resources: Resources, reference: dict[str, Any]) -> str:
    logical_id, _ = reference["Fn::GetAtt"]
    return str(resources("AWS::SQS::Queue")[logical_id]["Properties"]["QueueName"])


def test_each_table_has_one_delivery_and_one_pipe_to_the_bus(resources: Resources) -> None:
    assert set(_pipes(resources)) == {
        "watershed-land-site-activity",
        "watershed-tell-registry",
        "watershed-tell-site-activity",
    }
    mappings = resources("AWS::Lambda::EventSourceMapping").values()
    (direct,) = (each["Properties"] for each in mappings if "StartingPosition" in each["Properties"])
    assert "Registry" in json.dumps(direct["EventSourceArn"])


def test_a_pipe_gives_up_on_a_change_and_never_on_the_shard(resources: Resources) -> None:
    for name, pipe in _pipes(resources).items():
        source = pipe["SourceParameters"]["DynamoDBStreamParameters"]
        assert source["StartingPosition"] == "TRIM_HORIZON"
        assert source["OnPartialBatchItemFailure"] == "AUTOMATIC_BISECT"
        assert 0 < source["MaximumRetryAttempts"] <= 100
        assert 60 <= source["MaximumRecordAgeInSeconds"] <= 12 * 3600, "its dead letter must be of use"
        # What is not landed waits for a function, what is not told for a person.
        failures = "watershed-parked-changes" if name.startswith("watershed-land-") else f"{name}-dlq"
        assert _queue(resources, source["DeadLetterConfig"]["Arn"]) == failures
        (pattern,) = pipe["SourceParameters"]["FilterCriteria"]["Filters"]
        assert json.loads(pattern["Pattern"]) == EVERY_CHANGE == {"eventName": list(EVENT_NAMES)}


def test_a_pipe_logs_errors_and_no_items(resources: Resources) -> None:
    for pipe in _pipes(resources).values():
        assert pipe["LogConfiguration"]["Level"] == "ERROR"
        assert "IncludeExecutionData" not in pipe["LogConfiguration"]
        assert "KmsKeyIdentifier" in pipe


@pytest.mark.parametrize("expired", [True, False])
def test_the_template_keeps_all_that_the_envelope_is_made_of(expired: bool) -> None:
    identity = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
    removal = record(1, registry_key('a"b\\<$.eventID>'), None, patient(riskScore={"N": "1.50"}))
    if expired:
        removal["userIdentity"] = identity
    types = ItemTypeIndex(load_item_types().values())
    piped = json.loads(render(RECORD_TEMPLATE, removal))
    change = item_change(piped, types, LANDED_ONCE)
    assert change == item_change(removal, types, LANDED_ONCE)
    assert change.expired is expired


def test_firehose_partitions_compresses_and_encrypts(resources: Resources) -> None:
    (stream,) = (each["Properties"] for each in resources("AWS::KinesisFirehose::DeliveryStream").values())
    assert stream["DeliveryStreamEncryptionConfigurationInput"]["KeyType"] == "CUSTOMER_MANAGED_CMK"
    destination = stream["ExtendedS3DestinationConfiguration"]
    assert destination["Prefix"] == "!{partitionKeyFromLambda:partition}"
    assert destination["ErrorOutputPrefix"].startswith(
        "quarantine/source=items/reason=!{firehose:error-output-type}/date="
    )
    assert (destination["CompressionFormat"], destination["FileExtension"]) == ("GZIP", ".ndjson.gz")
    assert destination["DynamicPartitioningConfiguration"]["Enabled"] is True
    assert destination["BufferingHints"]["SizeInMBs"] >= 64, "the least with dynamic partitioning"
    assert "KMSEncryptionConfig" in destination["EncryptionConfiguration"]
    assert destination["CloudWatchLoggingOptions"]["Enabled"] is True
    (processor,) = destination["ProcessingConfiguration"]["Processors"]
    parameters = {each["ParameterName"]: each["ParameterValue"] for each in processor["Parameters"]}
    assert float(parameters["BufferSizeInMBs"]) * 2 < transform.MAX_RESPONSE_BYTES / 10**6
    assert parameters["NumberOfRetries"] == "3"


def test_limits_of_the_code_and_of_the_template_agree() -> None:
    assert list(transform.PartitionKeys.__annotations__) == [firehose.PARTITION_KEY]
    assert firehose.PIPE_BATCH_SIZE <= 500
    # A change becomes two events at most.
    assert 2 * fan_out.PIPE_BATCH_SIZE <= shape.MAX_EVENTS


def test_each_item_type_has_a_rule_with_dead_letters_of_its_own(resources: Resources) -> None:
    rules = {
        each["Properties"]["Name"]: each["Properties"] for each in resources("AWS::Events::Rule").values()
    }
    seen = set()
    for name in load_item_types():
        (rule,) = (
            each
            for each in rules.values()
            if f"{name}Insert" in each.get("EventPattern", {}).get("detail-type", [])
        )
        assert rule["EventPattern"] == {
            "source": ["watershed.items"],
            "detail-type": [f"{name}Insert", f"{name}Modify", f"{name}Remove"],
        }
        assert rule["EventBusName"] == "watershed-item-changes"
        (target,) = rule["Targets"]
        assert _queue(resources, target["Arn"]) == rule["Name"]
        assert _queue(resources, target["DeadLetterConfig"]["Arn"]) == f"{rule['Name']}-dlq"
        seen.add(rule["Name"])
    assert len(seen) == len(load_item_types())


def test_a_pipe_to_the_bus_is_enriched_and_names_the_change(resources: Resources) -> None:
    pipe = _pipes(resources)["watershed-tell-registry"]
    assert "ShapeItemChange" in json.dumps(pipe["Enrichment"])
    bus = pipe["TargetParameters"]["EventBridgeEventBusParameters"]
    assert bus == {"DetailType": "$.meta.changeType", "Source": "watershed.items"}
    buses = {
        each["Properties"]["Name"]: each["Properties"] for each in resources("AWS::Events::EventBus").values()
    }
    assert "KmsKeyIdentifier" in buses["watershed-item-changes"]  # its events hold items


def test_by_default_every_table_is_delivered_directly() -> None:
    resources = template_of(local())["Resources"].values()
    kinds = [each["Type"] for each in resources]
    assert kinds.count("AWS::Lambda::EventSourceMapping") == 5
    assert not {"AWS::Pipes::Pipe", "AWS::KinesisFirehose::DeliveryStream"} & {*kinds}
    buses = [each for each in resources if each["Type"] == "AWS::Events::EventBus"]
    assert [each["Properties"]["Name"] for each in buses] == ["watershed-resources"]  # no bus of item changes


def test_a_table_that_is_none_is_refused(tmp_path: Any) -> None:
    with pytest.raises(SynthesisError, match="'watershed-orders' is no table of the item types"):
        synthesized(replace(ON_AWS, firehose_tables=("watershed-orders",)), tmp_path / "out")
