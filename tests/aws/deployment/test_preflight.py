"""What would fail half-way through a deployment is said before it begins, and all of it at once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from infra.preflight import BOOTSTRAP_PARAMETER, PreflightError, check_account
from tests.aws.deployment.conftest import World

Problems = Callable[[], list[str]]

REGISTRY, REGISTRY_KEYS = "watershed-registry", (("id", "S"), ("sk", "S"))


def test_an_account_that_is_ready_has_no_problems_and_no_stack(world: World) -> None:
    assert check_account(world.settings, world.client) == "new"


def test_credentials_of_another_account_end_the_check(world: World, problems: Problems) -> None:
    world.change(account="999999999999", existing_streams={}, healthlake_datastore_id="wrong")
    (problem,) = problems()
    assert problem.startswith(
        "The credentials are of account 123456789012, the settings are for 999999999999"
    )


def test_a_region_without_the_cdk_is_told_how_to_get_it(world: World, problems: Problems) -> None:
    world.client("ssm").delete_parameter(Name=BOOTSTRAP_PARAMETER)
    assert problems() == [
        "The CDK is not set up in eu-west-1 of this account. Run: watershed bootstrap",
    ]
    world.bootstrap("3")
    (problem,) = problems()
    assert "of version 3, 6 is needed" in problem


@pytest.mark.parametrize(
    ("datastore", "problem"),
    [
        (None, "cannot be described in eu-west-1 (ResourceNotFoundException)"),
        ({"DatastoreStatus": "CREATING"}, "is CREATING; it must be ACTIVE"),
        ({"DatastoreStatus": "DELETED"}, "is DELETED; it must be ACTIVE"),
    ],
)
def test_the_data_store_must_be_there_and_active(
    world: World, problems: Problems, datastore: dict[str, str] | None, problem: str
) -> None:
    world.datastore = None if datastore is None else {**(world.datastore or {}), **datastore}
    (found,) = problems()
    assert problem in found


def test_a_data_store_to_be_made_is_not_looked_for(world: World, problems: Problems) -> None:
    world.datastore = None
    world.change(healthlake_datastore_id="new")
    assert problems() == []


def test_a_table_with_the_right_stream_is_joined(world: World, problems: Problems) -> None:
    stream = world.make_table(REGISTRY, REGISTRY_KEYS, "NEW_AND_OLD_IMAGES")
    world.change(existing_streams={REGISTRY: stream})
    assert problems() == []


def test_a_table_that_is_there_and_not_named_is_told_of(world: World, problems: Problems) -> None:
    world.make_table(REGISTRY, REGISTRY_KEYS, "NEW_AND_OLD_IMAGES")
    assert problems() == ["Table watershed-registry exists. Name its stream under `existing_streams`"]


def test_a_stream_that_cannot_be_followed_is_told_of_with_all_that_is_wrong(
    world: World, problems: Problems
) -> None:
    stream = world.make_table(REGISTRY, (("id", "N"),), "KEYS_ONLY")
    old = stream.rsplit("/", 1)[0] + "/2020-01-01T00:00:00.000"
    world.change(existing_streams={REGISTRY: old})
    assert problems() == [
        f"Table {REGISTRY}: its stream is {stream}, not {old}",
        f"Table {REGISTRY}: its stream's view is KEYS_ONLY; it must be NEW_AND_OLD_IMAGES",
        f"Table {REGISTRY}: its key is id (N), and schemas/items/ says id (S), sk (S)",
    ]


def test_streams_of_unknown_and_missing_tables_are_told_of(world: World, problems: Problems) -> None:
    prefix = "arn:aws:dynamodb:eu-west-1:123456789012:table"
    world.change(
        existing_streams={name: f"{prefix}/{name}/stream/2026" for name in ("watershed-registry", "orders")}
    )
    missing, unknown = problems()
    assert missing == "Table watershed-registry of `existing_streams` does not exist"
    assert "orders is no table of the item types" in unknown


def test_buckets_that_an_earlier_deployment_kept_are_told_of(world: World, problems: Problems) -> None:
    world.client("s3").create_bucket(
        Bucket=world.settings.bucket("lake"), CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    (problem,) = problems()
    assert problem.startswith("Bucket watershed-lake-123456789012-eu-west-1 exists, and the stack does not")


def test_an_update_does_not_ask_for_free_names(world: World, problems: Problems) -> None:
    world.make_table(REGISTRY, REGISTRY_KEYS, "NEW_AND_OLD_IMAGES")
    world.client("cloudformation").create_stack(
        StackName=world.settings.prefix,
        TemplateBody='{"Resources": {"T": {"Type": "AWS::SNS::Topic"}}}',
    )
    assert problems() == []
    assert check_account(world.settings, world.client) == "CREATE_COMPLETE"


def test_every_problem_is_told_at_once(world: World) -> None:
    world.client("ssm").delete_parameter(Name=BOOTSTRAP_PARAMETER)
    world.datastore = None
    world.make_table(REGISTRY, REGISTRY_KEYS, None)
    with pytest.raises(
        PreflightError, match="Nothing was changed: the account is not ready, 3 problems"
    ) as refusal:
        check_account(world.settings, world.client)
    assert len(refusal.value.problems) == 3
