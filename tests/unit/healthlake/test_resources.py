"""Reads, writes, versions and search, over HTTP."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest

from lambdas.shared.healthlake_http import HealthLakeRefusedError
from local.healthlake import DATASTORE_ID
from local.healthlake.client import put_entry
from local.healthlake.clock import now_ms
from tests.unit.healthlake.conftest import Served


def patient(id_: str, **more: object) -> dict[str, object]:
    return {"resourceType": "Patient", "id": id_, **more}


def test_versions_count_and_history_keeps_deletions(served: Served) -> None:
    client = served.client
    assert client.put(patient("a"))["meta"]["versionId"] == "1"
    assert client.put(patient("a", active=True))["meta"]["versionId"] == "2"
    client.delete("Patient", "a")
    client.delete("Patient", "a")  # there is nothing left to delete
    with pytest.raises(HealthLakeRefusedError) as refused:
        client.read("Patient", "a")
    assert refused.value.status == 410
    assert [entry["request"]["method"] for entry in client.history("Patient", "a")] == [
        "DELETE",
        "PUT",
        "PUT",
    ]
    assert client.put(patient("a"))["meta"]["versionId"] == "4"
    assert client.read("Patient", "a")["meta"]["versionId"] == "4"


def test_created_resources_get_an_id_and_unknown_ones_are_404(served: Served) -> None:
    stored = served.client.create({"resourceType": "Patient"})
    assert served.client.read("Patient", stored["id"]) == stored
    with pytest.raises(HealthLakeRefusedError) as refused:
        served.client.read("Patient", "nobody")
    assert refused.value.status == 404


def test_decimals_keep_their_digits(served: Served) -> None:
    values = "[0.10,1e3,12345678901234567890.12345]"
    body = f'{{"resourceType":"Observation","id":"o","valueQuantity":{{"value":1.50}},"n":{values}}}'
    served.client.put_lines([body])
    stored = served.simulator.store.read("Observation", "o").body
    assert stored is not None
    assert '"value":1.50' in stored
    assert values in stored


def test_search_pages_through_every_change_since(served: Served) -> None:
    client = served.client
    client.put_all(patient(f"p{n:03}") for n in range(25))
    # What one millisecond wrote comes in order of ids.
    later = client.put(patient("q"))["meta"]["lastUpdated"]
    assert [found["id"] for found in client.search("Patient", count=7)] == [
        *(f"p{n:03}" for n in range(25)),
        "q",
    ]
    assert "q" in [found["id"] for found in client.search("Patient", since=later)]
    assert list(client.search("Patient", since="2999-01-01T00:00:00Z")) == []


def test_a_search_through_many_pages_waits_where_the_quota_refuses_one(served: Served) -> None:
    served.client.put_all(patient(f"p{n}") for n in range(3))
    pages = served.client.search("Patient", count=1)
    assert next(pages)["id"] == "p0"
    served.client.plan_faults(throttle=2)
    assert [found["id"] for found in pages] == ["p1", "p2"]


def test_search_lags_where_asked_and_leaves_out_what_is_not_indexed(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = served.client
    first = now_ms()
    for moment, active in ((first, True), (first + 1, False)):
        monkeypatch.setattr("local.healthlake.store.now_ms", lambda moment=moment: moment)
        client.put(patient("a", active=active))
    monkeypatch.setattr("local.healthlake.api.now_ms", lambda: first + 60_000)
    client.plan_faults(search_lag_seconds=60)
    assert list(client.search("Patient")) == []
    assert [found["active"] for found in client.search("Patient", consistency="strong")] == [True]
    client.plan_faults(search_lag_seconds=0)
    assert [found["active"] for found in client.search("Patient")] == [False]


def test_a_transaction_is_all_or_nothing_and_a_batch_is_not(served: Served) -> None:
    good, bad = put_entry(patient("good")), {"request": {"method": "PATCH", "url": "Patient/x"}}
    with pytest.raises(HealthLakeRefusedError):
        served.client.transact([good, bad])
    assert served.client.counts() == {}
    assert [answer["status"] for answer in served.client.transact([good, bad], kind="batch")] == [
        "201",
        "400",
    ]
    assert served.client.counts() == {"Patient": 1}


def test_an_import_stores_the_lines_of_its_files_and_tells_no_call_of_them(served: Served) -> None:
    calls: list[object] = []
    served.simulator.tell(calls.append, lambda *_: None)
    lines = [b'{"resourceType":"Patient","id":"a","n":1.50}', b'{"resourceType":"Patient"}', b"{"]
    served.bucket.put("in", "import/1.ndjson", b"\n".join(lines), "key")
    served.bucket.put("in", "import/2.ndjson", b'{"resourceType":"Encounter","id":"e"}\n', "key")
    served.bucket.put("in", "elsewhere", b'{"resourceType":"Patient","id":"not"}\n', "key")
    sdk = boto3.client(
        "healthlake",
        endpoint_url=served.simulator.url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    asked: Any = {
        "DatastoreId": DATASTORE_ID,
        "InputDataConfig": {"S3Uri": "s3://in/import/"},
        "JobOutputDataConfig": {"S3Configuration": {"S3Uri": "s3://out/", "KmsKeyId": "arn:aws:kms:k"}},
        "DataAccessRoleArn": "arn:aws:iam::000000000000:role/import",
    }
    started = sdk.start_fhir_import_job(**asked)
    assert started["JobStatus"] == "SUBMITTED"
    job = sdk.describe_fhir_import_job(DatastoreId=DATASTORE_ID, JobId=started["JobId"])
    properties = job["ImportJobProperties"]
    assert properties["JobStatus"] == "COMPLETED_WITH_ERRORS"
    assert properties["JobProgressReport"]["TotalNumberOfResourcesImported"] == 2
    assert served.client.counts() == {"Encounter": 1, "Patient": 1}
    assert '"n":1.50' in (served.simulator.store.read("Patient", "a").body or "")
    assert calls == []
    with pytest.raises(sdk.exceptions.ValidationException, match="InputDataConfig"):
        sdk.start_fhir_import_job(**{**asked, "InputDataConfig": {"S3Uri": "nowhere"}})


def test_urn_references_become_references_to_what_was_stored(served: Served) -> None:
    served.client.transact(
        [
            {
                "fullUrl": "urn:uuid:1",
                "resource": {"resourceType": "Patient"},
                "request": {"method": "POST", "url": "Patient"},
            },
            put_entry({"resourceType": "Encounter", "id": "e", "subject": {"reference": "urn:uuid:1"}}),
        ]
    )
    (stored,) = served.client.search("Patient")
    assert served.client.read("Encounter", "e")["subject"]["reference"] == f"Patient/{stored['id']}"


def test_state_survives_a_restart(served: Served, tmp_path: object) -> None:
    from local.healthlake.store import Store

    served.client.put(patient("a"))
    assert isinstance(tmp_path, type(served.simulator.store._path.parent))
    again = Store(tmp_path / "resources.sqlite")
    assert again.read("Patient", "a").version == 1


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        ("", "Missing Authentication Token"),
        ("Bearer x", "not a SigV4 header"),
        (
            "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/s3/aws4_request,"
            f" SignedHeaders=host;x-amz-date, Signature={'0' * 64}",
            "scoped to s3",
        ),
        (
            "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/healthlake/aws4_request,"
            f" SignedHeaders=host;x-amz-date, Signature={'0' * 64}",
            "X-Amz-Date",
        ),
    ],
)
def test_unsigned_requests_are_refused(served: Served, authorization: str, expected: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(served.simulator.url).netloc)
    headers = {"Authorization": authorization} if authorization else {}
    connection.request("GET", f"/datastore/{DATASTORE_ID}/r4/Patient", headers=headers)
    reply = connection.getresponse()
    assert reply.status == 403
    assert expected in json.loads(reply.read())["message"]


def test_if_match_refuses_a_stale_version(served: Served) -> None:
    from local.healthlake.errors import PreconditionFailed

    served.client.put(patient("a"))
    served.simulator.store.update("Patient", "a", patient("a"), if_match=1)
    with pytest.raises(PreconditionFailed):
        served.simulator.store.update("Patient", "a", patient("a"), if_match=1)
