"""The real emulator, with buckets and tables as they are deployed, and without the rest of the stack."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from crawlers import load_crawlers, table_input
from local.emulator.process import Emulator
from local.glue.aws import glue_client, s3_client

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_s3 import S3Client

LANDING = "watershed-landing-test"
LAKE = "watershed-lake-test"
DATABASE = "watershed_landing"
CONF = (
    "spark.sql.catalog.lake=org.apache.iceberg.spark.SparkCatalog"
    f" --conf spark.sql.catalog.lake.warehouse=s3://{LAKE}/warehouse"
    " --conf spark.sql.caseSensitive=true"
)
ARGUMENTS = {"--landing_uri": f"s3://{LANDING}/", "--catalog": "lake", "--conf": CONF}


@dataclass(frozen=True)
class Stack:
    endpoint: str
    state: Path
    s3: S3Client
    glue: GlueClient

    def land(self, key: str, body: bytes) -> None:
        self.s3.put_object(Bucket=LANDING, Key=key, Body=body)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    state = tmp_path_factory.mktemp("watershed")
    with Emulator(state / "emulator") as emulator:
        s3, glue = s3_client(emulator.endpoint), glue_client(emulator.endpoint)
        for bucket in (LANDING, LAKE):
            s3.create_bucket(Bucket=bucket)
        glue.create_database(DatabaseInput={"Name": DATABASE})
        for crawler in load_crawlers():
            for table in crawler.tables:
                glue.create_table(DatabaseName=DATABASE, TableInput=table_input(table, LANDING))  # type: ignore[arg-type]
            glue.create_crawler(
                Name=crawler.name,
                Role="arn:aws:iam::000000000000:role/crawlers",
                DatabaseName=DATABASE,
                Targets=crawler.targets(DATABASE),  # type: ignore[arg-type]
            )
        yield Stack(emulator.endpoint, state, s3, glue)
