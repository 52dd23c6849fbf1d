"""Admitting and disabling analysts: numbers, conflicts, rollback."""

from __future__ import annotations

from typing import Any

import pytest
from moto.cognitoidp.models import CognitoIdpBackend
from moto.core.exceptions import JsonRESTError
from moto.dynamodb.models import DynamoDBBackend

from tests.aws.control.conftest import TABLE, Office


def test_an_analyst_gets_the_next_number_a_profile_and_a_user(office: Office) -> None:
    first, second = office.admit(), office.admit("doe@example.org", "engineer")
    assert first == {
        "statusCode": 200,
        "body": {
            "id": "1",
            "email": "roe@example.org",
            "name": 'Ünal "R." O\'Roe',
            "group": "analyst",
            "enabled": True,
        },
    }
    assert second["body"]["id"] == "2"
    profile = office.profiles()["1"]
    assert (profile["email"], profile["group"], profile["admittedBy"]) == (
        "roe@example.org",
        "analyst",
        "boss",
    )
    user = office.users()["1"]
    assert (user["email"], user["email_verified"], user["enabled"]) == ("roe@example.org", "true", True)
    groups = office.cognito.admin_list_groups_for_user(UserPoolId=office.pool, Username="2")["Groups"]
    assert [group["GroupName"] for group in groups] == ["engineer"]


def test_fifty_at_once_get_fifty_numbers_without_a_gap(office: Office) -> None:
    executions = {f"roe{n}@example.org": office.begin(f"roe{n}@example.org") for n in range(50)}
    answers = {email: office.response(each) for email, each in executions.items()}
    # Where writes take long, as on a busy machine, few find no turn in all their attempts, and are told so.
    refused = [email for email, each in answers.items() if each["statusCode"] != 200]
    assert all(answers[email]["message"].endswith("ask again") for email in refused)
    assert len(refused) < 25
    answers |= {email: office.admit(email) for email in refused}
    assert sorted(int(each["body"]["id"]) for each in answers.values()) == list(range(1, 51))
    assert set(office.profiles()) == set(office.users()) == {str(n) for n in range(1, 51)}


def test_a_number_that_somebody_takes_in_between_is_read_again(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.admit("first@example.org")
    write = DynamoDBBackend.transact_write_items
    conflicts: list[str] = []

    def after_another(self: Any, items: Any) -> None:
        if not conflicts:
            conflicts.append("another took number 2")
            self.put_item(TABLE, {"id": {"S": "LAST_ID"}, "lastId": {"N": "2"}})
        write(self, items)

    monkeypatch.setattr(DynamoDBBackend, "transact_write_items", after_another)
    assert office.admit()["body"]["id"] == "3"
    assert conflicts
    assert set(office.profiles()) == {"1", "3"}


def test_one_who_meets_only_conflicts_gives_up_with_a_message(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.admit("first@example.org")
    attempts: list[int] = []
    write = DynamoDBBackend.transact_write_items

    def always_late(self: Any, items: Any) -> None:
        attempts.append(1)
        self.put_item(TABLE, {"id": {"S": "LAST_ID"}, "lastId": {"N": str(len(attempts) * 10)}})
        write(self, items)

    monkeypatch.setattr(DynamoDBBackend, "transact_write_items", always_late)
    answer = office.admit()
    assert (answer["statusCode"], len(attempts)) == (400, 11)
    assert "ask again" in answer["message"]
    assert set(office.profiles()) == set(office.users()) == {"1"}


def test_a_number_that_is_a_users_name_already_is_rolled_back_and_passed_over(office: Office) -> None:
    office.cognito.admin_create_user(UserPoolId=office.pool, Username="1")
    refused = office.admit()
    assert refused["statusCode"] == 400
    assert "ask again" in refused["message"]
    assert office.profiles() == {}
    assert "email" not in office.users()["1"], "another's user is left as it is"
    assert office.admit()["body"]["id"] == "2"


@pytest.mark.parametrize(
    ("operation", "error", "message"),
    [
        ("admin_create_user", "AliasExistsException", "another analyst"),
        ("admin_create_user", "InvalidParameterException", "does not accept"),
        ("admin_create_user", "LimitExceededException", "could not be admitted"),
        ("admin_add_user_to_group", "ResourceNotFoundException", "could not be admitted"),
    ],
)
def test_whatever_fails_after_the_profile_was_written_takes_it_back(
    office: Office, monkeypatch: pytest.MonkeyPatch, operation: str, error: str, message: str
) -> None:
    _fail(monkeypatch, operation, error)
    refused = office.admit()
    assert refused["statusCode"] == 400
    assert message in refused["message"]
    assert office.profiles() == {}
    assert office.users() == {}


def test_what_could_not_be_taken_back_is_told_by_its_number(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fail(monkeypatch, "admin_add_user_to_group", "ResourceNotFoundException")
    _fail(monkeypatch, "admin_delete_user", "NotAuthorizedException")
    refused = office.admit()
    assert "number 1 could not be taken back" in refused["message"]
    monkeypatch.undo()


def test_a_disabled_analyst_stays_known_and_cannot_sign_in(office: Office) -> None:
    office.admit()
    assert office.disable("1") == {"statusCode": 200, "body": {"id": "1", "enabled": False}}
    marked = office.profiles()["1"]
    assert marked["disabledBy"] == "boss"
    assert office.users()["1"]["enabled"] is False
    assert office.disable("1")["statusCode"] == 200
    assert office.profiles()["1"]["disabledAt"] == marked["disabledAt"], "the first time counts"


@pytest.mark.parametrize("number", ["1", "LAST_ID", "no' such"])
def test_nobody_of_that_number_is_disabled(office: Office, number: str) -> None:
    office.admit()
    office.cognito.admin_delete_user(UserPoolId=office.pool, Username="1")
    if number == "1":
        assert office.disable("1")["statusCode"] == 200, "a profile whose user is gone is marked all the same"
    else:
        assert office.disable(number)["statusCode"] == 404


def _fail(monkeypatch: pytest.MonkeyPatch, operation: str, error: str) -> None:
    """From here on Cognito refuses an operation."""

    def refuse(*_: Any, **__: Any) -> None:
        raise JsonRESTError(error, "as planned")

    monkeypatch.setattr(CognitoIdpBackend, operation, refuse)
