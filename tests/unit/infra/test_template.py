"""What the emulator accepts and drops is proven here, on the template: encryption, access, limits."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from crawlers import load_crawlers
from infra.questions import PAGE, load_questions, page
from infra.settings import BUCKETS
from infra.workflow import JOBS, STEPS
from tests.unit.infra.assemblies import ON_AWS

Resources = Callable[[str], dict[str, dict[str, Any]]]


def _by_name(found: dict[str, dict[str, Any]], name: str) -> dict[str, dict[str, Any]]:
    return {each["Properties"][name]: each["Properties"] for each in found.values()}


def test_buckets_are_encrypted_private_versioned_and_logged(resources: Resources) -> None:
    buckets = _by_name(resources("AWS::S3::Bucket"), "BucketName")
    assert set(buckets) == set(map(ON_AWS.bucket, BUCKETS)), "what a first deployment finds taken is these"
    for name, bucket in buckets.items():
        assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}, name
        assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}, name
        rules = bucket["LifecycleConfiguration"]["Rules"]
        assert any("AbortIncompleteMultipartUpload" in rule for rule in rules), name
        (encryption,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        algorithm = encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"]
        if name == ON_AWS.bucket("logs"):
            assert algorithm == "AES256"
        else:
            assert algorithm == "aws:kms", name
            assert encryption["BucketKeyEnabled"] is True
            assert "LoggingConfiguration" in bucket


def test_buckets_queues_and_topics_refuse_requests_without_tls(resources: Resources) -> None:
    for protected, policy, count in (
        ("AWS::S3::Bucket", "AWS::S3::BucketPolicy", 7),
        ("AWS::SQS::Queue", "AWS::SQS::QueuePolicy", 16),
        ("AWS::SNS::Topic", "AWS::SNS::TopicPolicy", 1),
    ):
        assert len(resources(protected)) == len(resources(policy)) == count
        for name, each in resources(policy).items():
            statements = each["Properties"]["PolicyDocument"]["Statement"]
            assert any(
                statement["Effect"] == "Deny"
                and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
                for statement in statements
            ), name


def test_data_outlives_the_stack(resources: Resources) -> None:
    for kind in ("AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::KMS::Key"):
        assert {each["DeletionPolicy"] for each in resources(kind).values()} == {"Retain"}, kind


def test_the_key_rotates_and_services_may_use_it_only_for_this_account(resources: Resources) -> None:
    (key,) = resources("AWS::KMS::Key").values()
    assert key["Properties"]["EnableKeyRotation"] is True
    for statement in key["Properties"]["KeyPolicy"]["Statement"]:
        if "Service" in statement["Principal"]:
            assert statement["Condition"], statement


def test_tables_have_streams_recovery_and_our_key(resources: Resources) -> None:
    tables = _by_name(resources("AWS::DynamoDB::Table"), "TableName")
    followed = {"watershed-registry", "watershed-site-activity"}
    assert set(tables) == followed | {
        *(
            "watershed-export-state",
            "watershed-patient-activity",
            "watershed-analysts",
            "watershed-connections",
        )
    }
    for name, table in tables.items():
        assert table["BillingMode"] == "PAY_PER_REQUEST"
        assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
        assert table["SSESpecification"]["SSEType"] == "KMS"
        assert table["TimeToLiveSpecification"] == {"AttributeName": "expiresAt", "Enabled": True}
        assert table["DeletionProtectionEnabled"] is True
        streams = {"StreamViewType": "NEW_AND_OLD_IMAGES"} if name in followed else None
        assert table.get("StreamSpecification") == streams
    assert tables["watershed-site-activity"]["AttributeDefinitions"] == [
        {"AttributeName": "siteId", "AttributeType": "S"},
        {"AttributeName": "createdAtTime", "AttributeType": "N"},
    ]
    assert [key["KeyType"] for key in tables["watershed-site-activity"]["KeySchema"]] == ["HASH", "RANGE"]


def test_a_stream_mapping_gives_up_on_a_batch_and_never_on_the_shard(resources: Resources) -> None:
    mappings = [each["Properties"] for each in resources("AWS::Lambda::EventSourceMapping").values()]
    streams = [each for each in mappings if "StartingPosition" in each]
    assert len(streams) == 1
    for mapping in streams:
        assert (mapping["BatchSize"], mapping["MaximumBatchingWindowInSeconds"]) == (500, 5)
        assert mapping["ParallelizationFactor"] == 1
        assert "FilterCriteria" not in mapping, "what a filter keeps back is gone without a trace"
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert mapping["BisectBatchOnFunctionError"] is True
        # -1, the default, would let one bad record hold its shard for a day.
        assert 0 < mapping["MaximumRetryAttempts"] <= 100
        assert 60 <= mapping["MaximumRecordAgeInSeconds"] < 24 * 3600
        assert mapping["StartingPosition"] == "TRIM_HORIZON"
        destination = mapping["DestinationConfig"]["OnFailure"]["Destination"]["Fn::GetAtt"]
        failures = resources("AWS::S3::Bucket")[destination[0]]
        assert failures["Properties"]["BucketName"] == ON_AWS.bucket("failures")


def test_what_is_about_to_be_lost_or_waits_for_a_replay_raises_an_alarm(resources: Resources) -> None:
    alarms = _by_name(resources("AWS::CloudWatch::Alarm"), "AlarmName")
    mappings = {
        name: each["Properties"]
        for name, each in resources("AWS::Lambda::EventSourceMapping").items()
        if "StartingPosition" in each["Properties"]
    }
    (topic,) = resources("AWS::SNS::Topic")
    age = alarms["watershed-items-iterator-age"]
    assert (age["MetricName"], age["Statistic"]) == ("IteratorAge", "Maximum")
    # Late enough to be wrong, early enough to be mended before the stream forgets.
    assert 3600_000 < age["Threshold"] < 24 * 3600_000
    parked = [each for name, each in alarms.items() if name.startswith("watershed-items-parked-")]
    counted = {each["Dimensions"][0]["Value"]["Ref"] for each in parked}
    assert counted == set(mappings)
    assert all(each["MetricsConfig"] == {"Metrics": ["EventCount"]} for each in mappings.values())
    for each in (age, *parked):
        assert each["AlarmActions"] == [{"Ref": topic}]
        assert each["TreatMissingData"] == "notBreaching"
        assert "watershed " in each["AlarmDescription"], "it says what to do"


def test_queues_of_steps_are_consumed_one_message_at_a_time_and_fail_to_dead_letters(
    resources: Resources,
) -> None:
    mappings = [each["Properties"] for each in resources("AWS::Lambda::EventSourceMapping").values()]
    queued = [each for each in mappings if "StartingPosition" not in each]
    assert sorted(each["BatchSize"] for each in queued) == [1, 1, 1, 10, 100, 100, 100]
    assert all(each["FunctionResponseTypes"] == ["ReportBatchItemFailures"] for each in queued)
    queues = _by_name(resources("AWS::SQS::Queue"), "QueueName")
    for name in ("watershed-export-start", "watershed-export-poll", "watershed-parked-changes"):
        queue = queues[name]
        assert queue["RedrivePolicy"]["maxReceiveCount"] == 5
        assert queue["VisibilityTimeout"] >= 6 * 60
        assert "KmsMasterKeyId" in queue
        assert "RedrivePolicy" not in queues[f"{name}-dlq"]


def test_functions_log_into_groups_with_retention(resources: Resources) -> None:
    functions = _by_name(resources("AWS::Lambda::Function"), "FunctionName")
    groups = _by_name(resources("AWS::Logs::LogGroup"), "LogGroupName")
    assert {f"/aws/lambda/{name}" for name in functions} < set(groups)
    for name, group in groups.items():
        assert group["RetentionInDays"] == ON_AWS.log_retention_days, name
        assert "KmsKeyId" in group, name


def test_functions_know_their_surroundings(resources: Resources) -> None:
    functions = _by_name(resources("AWS::Lambda::Function"), "FunctionName")
    needed = {
        "watershed-land-item-changes": {"LANDING_BUCKET", "FUNCTION_VERSION"},
        "watershed-start-export": {
            *("HEALTHLAKE_ENDPOINT", "DATASTORE_ID", "EXPORTS_BUCKET", "EXPORT_ROLE_ARN", "STATE_TABLE"),
            *("EXPORT_KMS_KEY_ARN", "START_QUEUE_URL", "POLL_QUEUE_URL"),
        },
        "watershed-poll-export": {
            *("HEALTHLAKE_ENDPOINT", "DATASTORE_ID", "EXPORTS_BUCKET", "STATE_TABLE", "POLL_QUEUE_URL"),
        },
        "watershed-land-export": {"EXPORTS_BUCKET", "LANDING_BUCKET"},
        "watershed-partition-item-changes": {"LANDING_BUCKET", "FUNCTION_VERSION"},
        "watershed-land-parked-changes": {"LANDING_BUCKET", "FUNCTION_VERSION"},
        "watershed-shape-item-change": set(),
        "watershed-record-patient-activity": {"ACTIVITY_TABLE"},
        "watershed-publish-resources": {"LANDING_BUCKET", "EVENT_BUS"},
        "watershed-list-quarantine": {"LANDING_BUCKET"},
        "watershed-list-tables": {"DATABASES"},
        "watershed-shape-token": {"ANALYSTS_TABLE", "SCOPES"},
        "watershed-keep-roster": {"CONNECTIONS_TABLE", "USER_POOL_ID", "SCOPE"},
        "watershed-socket-publish": {"CONNECTIONS_TABLE", "SOCKET_API_ID", "SOCKET_STAGE"},
    }
    assert set(functions) == set(needed)
    for name, variables in needed.items():
        function = functions[name]
        assert variables <= set(function["Environment"]["Variables"]), name
        assert "KmsKeyArn" in function, name
        folder = name.removeprefix("watershed-").replace("-", "_")
        assert function["Handler"] == f"lambdas.{folder}.handler.handler"
        assert function["Runtime"] == "python3.11"


def test_state_machines_are_logged_traced_and_substituted(resources: Resources) -> None:
    machines = _by_name(resources("AWS::StepFunctions::StateMachine"), "StateMachineName")
    assert {name: each["StateMachineType"] for name, each in machines.items()} == {
        "watershed-export": "STANDARD",
        "watershed-admit-analyst": "EXPRESS",
        "watershed-disable-analyst": "EXPRESS",
    }
    for properties in machines.values():
        assert properties["LoggingConfiguration"]["Level"] == "ALL"
        assert properties["LoggingConfiguration"]["IncludeExecutionData"] is False
        assert properties["TracingConfiguration"] == {"Enabled": True}
        for name in properties["DefinitionSubstitutions"]:
            assert f"${{{name}}}" in properties["DefinitionString"]


def test_the_schedule_starts_incremental_exports(resources: Resources) -> None:
    rules = _by_name(resources("AWS::Events::Rule"), "Name")
    schedule, events = rules["watershed-export-schedule"], rules["watershed-export-events"]
    assert schedule["ScheduleExpression"] == "rate(5 minutes)"
    assert schedule["State"] == "ENABLED"
    (target,) = schedule["Targets"]
    assert json.loads(target["Input"]) == {"mode": "incremental"}
    assert "Export Job Completed With Errors" in events["EventPattern"]["detail-type"]
    assert events["Targets"][0]["DeadLetterConfig"]


def test_alarms_ring_on_the_outcomes_topic(resources: Resources) -> None:
    alarms = _by_name(resources("AWS::CloudWatch::Alarm"), "AlarmName")
    (topic,) = resources("AWS::SNS::Topic")
    assert set(alarms) >= {
        "watershed-export-failed",
        "watershed-export-stale",
        "watershed-export-poll-parked",
    }
    for name, alarm in alarms.items():
        assert alarm["AlarmActions"] == [{"Ref": topic}], name
    assert alarms["watershed-export-stale"]["TreatMissingData"] == "breaching"
    (policy,) = resources("AWS::SNS::TopicPolicy").values()
    statements = policy["Properties"]["PolicyDocument"]["Statement"]
    assert any(each["Principal"] == {"Service": "cloudwatch.amazonaws.com"} for each in statements)


def test_landing_tables_are_those_declared(resources: Resources) -> None:
    declared = {table.name: table for crawler in load_crawlers() for table in crawler.tables}
    deployed = {
        each["Properties"]["TableInput"]["Name"]: each["Properties"]
        for each in resources("AWS::Glue::Table").values()
    }
    assert set(deployed) == set(declared)
    for name, table in deployed.items():
        assert table["DatabaseName"] == "watershed_landing"
        columns = table["TableInput"]["StorageDescriptor"]["Columns"]
        assert [column["Name"] for column in columns] == [column.name for column in declared[name].columns]
        keys = [key["Name"] for key in table["TableInput"]["PartitionKeys"]]
        assert keys == [key.name for key in declared[name].partition_keys]
        assert table["TableInput"]["Parameters"]["compressionType"] == "none"


def test_crawlers_add_partitions_and_change_nothing_else(resources: Resources) -> None:
    crawlers = _by_name(resources("AWS::Glue::Crawler"), "Name")
    assert set(crawlers) == {"watershed-landing-items", "watershed-landing-fhir"}
    for declared in load_crawlers():
        crawler = crawlers[f"watershed-{declared.name}"]
        (target,) = crawler["Targets"]["CatalogTargets"]
        assert target["Tables"] == [table.name for table in declared.tables]
        assert crawler["SchemaChangePolicy"] == {"UpdateBehavior": "LOG", "DeleteBehavior": "LOG"}
        output = json.loads(crawler["Configuration"])["CrawlerOutput"]
        assert output == {"Partitions": {"AddOrUpdateBehavior": "InheritFromTable"}}
        assert crawler["CrawlerSecurityConfiguration"] == "watershed-glue"


def test_jobs_are_pinned_bounded_and_encrypted(resources: Resources) -> None:
    jobs = _by_name(resources("AWS::Glue::Job"), "Name")
    assert set(jobs) == {f"watershed-{name}" for name in JOBS}
    for name, job in jobs.items():
        # A job that names no version gets Glue 6.0, with Spark 4.
        assert job["GlueVersion"] == "5.1", name
        assert job["ExecutionProperty"] == {"MaxConcurrentRuns": 1}
        assert job["Timeout"] <= 480
        assert job["SecurityConfiguration"] == "watershed-glue"
        arguments = job["DefaultArguments"]
        assert arguments["--datalake-formats"] == "iceberg"
        assert arguments["--job-bookmark-option"] == "job-bookmark-disable"
        assert arguments["--catalog"] == "lake"
        configuration = json.dumps(arguments["--conf"])
        assert "org.apache.iceberg.aws.glue.GlueCatalog" in configuration
        assert "spark.sql.catalog.lake.table-default.format-version=2" in configuration
        assert "spark.hadoop.fs.s3a.endpoint.region=eu-west-1" in configuration


def test_glue_encrypts_all_that_it_writes_by_itself(resources: Resources) -> None:
    (security,) = resources("AWS::Glue::SecurityConfiguration").values()
    encryption = security["Properties"]["EncryptionConfiguration"]
    assert encryption["CloudWatchEncryption"]["CloudWatchEncryptionMode"] == "SSE-KMS"
    assert encryption["JobBookmarksEncryption"]["JobBookmarksEncryptionMode"] == "CSE-KMS"
    assert [each["S3EncryptionMode"] for each in encryption["S3Encryptions"]] == ["SSE-KMS"]


def test_one_run_of_the_workflow_at_a_time(resources: Resources) -> None:
    (workflow,) = resources("AWS::Glue::Workflow").values()
    assert workflow["Properties"]["MaxConcurrentRuns"] == 1


def test_triggers_are_the_declared_graph(resources: Resources) -> None:
    triggers = _by_name(resources("AWS::Glue::Trigger"), "Name")
    maintenance = triggers.pop("watershed-maintain")
    assert (maintenance["Type"], maintenance["StartOnCreation"]) == ("SCHEDULED", True)
    assert "WorkflowName" not in maintenance
    assert set(triggers) == {f"watershed-{step.name}" for step in STEPS}
    for step in STEPS:
        trigger = triggers[f"watershed-{step.name}"]
        assert trigger["WorkflowName"] == "watershed"
        started = {next(iter(action.values())) for action in trigger["Actions"]}
        assert started == {f"watershed-{node.name}" for node in step.starts}
        if not step.after:
            assert trigger["Type"] == "ON_DEMAND"
            continue
        assert trigger["Type"] == "CONDITIONAL"
        assert trigger["StartOnCreation"] is True
        assert trigger["Predicate"]["Logical"] == "AND"
        awaited = {
            each.get("JobName") or each.get("CrawlerName") for each in trigger["Predicate"]["Conditions"]
        }
        assert awaited == {f"watershed-{node.name}" for node in step.after}
        states = {each.get("State") or each.get("CrawlState") for each in trigger["Predicate"]["Conditions"]}
        assert states == {"SUCCEEDED"}


def test_the_workgroup_is_enforced_encrypted_and_limited(resources: Resources) -> None:
    (group,) = resources("AWS::Athena::WorkGroup").values()
    configuration = group["Properties"]["WorkGroupConfiguration"]
    assert configuration["EnforceWorkGroupConfiguration"] is True
    assert configuration["BytesScannedCutoffPerQuery"] == ON_AWS.athena_cutoff_bytes
    encryption = configuration["ResultConfiguration"]["EncryptionConfiguration"]
    assert encryption["EncryptionOption"] == "SSE_KMS"


def test_the_questions_of_the_docs_are_named_queries(resources: Resources) -> None:
    queries = _by_name(resources("AWS::Athena::NamedQuery"), "Name")
    questions = {question.name: question for question in load_questions()}
    assert set(queries) == set(questions)
    for name, query in queries.items():
        assert (query["WorkGroup"], query["Database"]) == ("watershed", "watershed_curated")
        assert query["QueryString"] == questions[name].sql
        assert query["Description"] == f"{questions[name].title} (For {questions[name].role}.)"


def test_a_question_is_for_a_role_that_may_ask_it(resources: Resources) -> None:
    policies = {
        each["Properties"]["RoleName"]: json.dumps(each["Properties"]["Policies"])
        for each in resources("AWS::IAM::Role").values()
    }
    questions = load_questions()
    for question in questions:
        for zone in question.zones:
            assert f"database/watershed_{zone}" in policies[f"watershed-{question.role}"], question.name
    assert sum(question.role == "analysts" for question in questions) >= 15


def test_a_deployment_with_another_prefix_asks_its_own_databases() -> None:
    (question,) = (each for each in load_questions() if each.name == "registry_without_record")
    sql = question.for_deployment(replace(ON_AWS, prefix="north-lake"))
    assert "north_lake_conformed.patient" in sql
    assert "watershed_" not in sql


def test_the_list_of_questions_is_current() -> None:
    assert page(PAGE.read_text(), load_questions()) == PAGE.read_text(), "run: python -m infra.questions"


@pytest.mark.parametrize(
    "output",
    [
        *("LandingBucket", "LakeBucket", "ExportsBucket", "ResultsBucket", "DocsBucket", "FailuresBucket"),
        *("RegistryTable", "SiteActivityTable", "StateTable", "StateMachineArn", "StartQueueUrl"),
        *("PollQueueUrl", "OutcomesTopicArn", "WorkflowName", "WorkGroup", "HealthLakeDatastoreId"),
        *("LandingDatabase", "ConformedDatabase", "CuratedDatabase", "OpsDatabase"),
    ],
)
def test_the_local_stack_finds_its_outputs(template: dict[str, Any], output: str) -> None:
    assert output in template["Outputs"]


def test_nothing_needs_a_custom_resource(template: dict[str, Any]) -> None:
    kinds = {each["Type"] for each in template["Resources"].values()}
    assert not [kind for kind in kinds if kind.startswith("Custom::") or "CustomResource" in kind]
