"""Which landed lines are a subject's, and which versions of objects are purged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from glue_jobs.erasure.subject import Subject, keep, mentions, parse_subject
from glue_jobs.erasure.versions import purge_all, purge_noncurrent
from glue_jobs.lake.errors import ArgumentError
from schemas.item_type import load_item_types

ITEM_TYPES = load_item_types()
PATIENT = Subject("Patient", ("p1",))
OTHERS = "fhir/resource_type=Observation/x.ndjson"


def kept(line: str | dict[str, Any], subject: Subject = PATIENT, key: str = OTHERS) -> bool:
    text = line if isinstance(line, str) else json.dumps(line)
    return keep(subject, key, text.encode(), ITEM_TYPES) == text.encode()


def test_a_resource_goes_with_all_that_refers_to_it() -> None:
    assert not kept({"resourceType": "Patient", "id": "p1"})
    for reference in ("Patient/p1", "https://fhir.example/r4/Patient/p1", "Patient/p1/_history/3"):
        assert not kept({"resourceType": "Observation", "id": "o", "subject": {"reference": reference}})
    assert not kept('{"resourceType":"Observation","id":"o","subject":{"reference":"Patient\\/p1"}}')


def test_what_only_looks_like_it_stays() -> None:
    assert kept({"resourceType": "Patient", "id": "p10"})
    assert kept({"resourceType": "Practitioner", "id": "p1"})
    for reference in ("Patient/p10", "Patient/p1.2", "OtherPatient/p1", "Practitioner/p1"):
        assert kept({"resourceType": "Observation", "id": "o", "subject": {"reference": reference}})
    free_text = {"resourceType": "Observation", "id": "o", "note": [{"text": "p1"}]}
    assert kept(free_text)
    assert mentions(PATIENT, json.dumps(free_text).encode())  # which the report then says


def test_a_dot_in_an_id_is_a_dot() -> None:
    dotted = Subject("Patient", ("p.1",))
    assert kept({"resourceType": "Observation", "subject": {"reference": "Patient/pX1"}, "x": "p.1"}, dotted)
    assert not kept({"resourceType": "Observation", "subject": {"reference": "Patient/p.1"}}, dotted)


def test_of_a_list_of_deletions_only_its_entry_goes() -> None:
    entries = [{"request": {"method": "DELETE", "url": f"Patient/{id_}"}} for id_ in ("p1", "p2")]
    line = json.dumps({"resourceType": "Bundle", "entry": entries}).encode()
    left = keep(PATIENT, "fhir/_exports/e/deleted/x.ndjson", line, ITEM_TYPES)
    assert left is not None
    assert json.loads(left)["entry"] == entries[1:]


def test_a_line_that_cannot_be_read_goes_if_it_names_the_subject() -> None:
    assert not kept('{"resourceType":"Patient","id":"p1","name":')
    assert not kept('{"resourceType":"Observation","subject":{"reference":"Patient/p1"')
    assert kept('{"resourceType":"Patient","id":"p12","name":')


def change(item_type: str, **images: Any) -> dict[str, Any]:
    return {"item_type": item_type, "table_name": ITEM_TYPES[item_type].table_name, **images}


def test_changes_of_items_go_where_a_declared_attribute_refers_in_any_image() -> None:
    keys = {"siteId": "s", "createdAtTime": 1}
    new = {**keys, "patientId": "p1"}
    assert not kept(change("SiteActivity", keys=keys, new_image=new, old_image=None))
    assert not kept(change("SiteActivity", keys=keys, new_image=None, old_image=new))
    of_a_site = {"siteId": "p1", "createdAtTime": 1}
    assert kept(change("SiteActivity", keys=of_a_site, new_image=None, old_image=None))


def test_an_item_goes_by_its_whole_key() -> None:
    subject = parse_subject(None, "Address/p1/ADDRESS#1", ITEM_TYPES)
    assert not kept(change("Address", keys={"id": "p1", "sk": "ADDRESS#1"}), subject)
    assert kept(change("Address", keys={"id": "p1", "sk": "ADDRESS#12"}), subject)
    assert kept({"resourceType": "Patient", "id": "ADDRESS#1"}, subject)


@pytest.mark.parametrize(
    ("resource", "item"),
    [
        (None, None),
        ("Patient/p1", "Address/a/b"),
        ("Patient", None),
        ("patient/p1", None),
        ("Patient/p1' or 1=1", None),
        (None, "Nothing/a"),
        (None, "Address/a"),
        (None, "Address//b"),
    ],
)
def test_a_subject_that_is_none_is_refused_without_being_repeated(
    resource: str | None, item: str | None
) -> None:
    with pytest.raises(ArgumentError) as refused:
        parse_subject(resource, item, ITEM_TYPES)
    assert "1=1" not in str(refused.value)


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="bucket")
        client.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
        yield client


def test_older_versions_go_and_the_current_one_stays(s3: Any) -> None:
    for body in (b"one", b"two"):
        s3.put_object(Bucket="bucket", Key="fhir/a", Body=body)
    s3.put_object(Bucket="bucket", Key="fhir/gone", Body=b"x")
    s3.delete_object(Bucket="bucket", Key="fhir/gone")
    assert purge_noncurrent(s3, "bucket", ["fhir/"]) == 3  # one, x, and the mark of x's deletion
    (left,) = s3.list_object_versions(Bucket="bucket")["Versions"]
    assert s3.get_object(Bucket="bucket", Key=left["Key"])["Body"].read() == b"two"
    assert "DeleteMarkers" not in s3.list_object_versions(Bucket="bucket")


def test_an_object_goes_with_all_its_versions_and_its_neighbour_stays(s3: Any) -> None:
    for key in ("exports/a", "exports/a", "exports/ab"):
        s3.put_object(Bucket="bucket", Key=key, Body=b"x")
    assert purge_all(s3, "bucket", ["exports/a"]) == 2
    assert [each["Key"] for each in s3.list_object_versions(Bucket="bucket")["Versions"]] == ["exports/ab"]
