"""Copy an object from the exports bucket to the landing zone inside S3, and check what arrived."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from lambdas.land_export.copy_plan import Part, needs_parts, parts

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

_SOURCE_ETAG: Final = "source-etag"
_CHECKSUMS: Final = ("ChecksumCRC64NVME", "ChecksumSHA256", "ChecksumSHA1", "ChecksumCRC32C", "ChecksumCRC32")
_PARALLEL: Final = 8


class DamagedCopyError(Exception):
    """Raised when the copy differs from its source in size or checksum; the copy is to be made again."""


class MissingSourceError(Exception):
    """Raised when a file that the export lists is not in the bucket."""


@dataclass(frozen=True)
class Copied:
    """What landed. `copied` is False where it had landed before."""

    key: str
    size: int
    etag: str
    copied: bool


@dataclass(frozen=True)
class Copier:
    """Copies between two buckets. `needs_parts` decides where a single call will not do."""

    s3: S3Client
    source_bucket: str
    landing_bucket: str
    needs_parts: Callable[[int], bool] = needs_parts
    split: Callable[[int], Any] = parts

    def copy(self, source_key: str, key: str) -> Copied:
        """Copy one object, unless this very one has landed. Raises DamagedCopyError, MissingSourceError."""
        source = self._head(self.source_bucket, source_key)
        if source is None:
            raise MissingSourceError(f"s3://{self.source_bucket}/{source_key} is gone; export again")
        there = self._head(self.landing_bucket, key)
        if there is not None and _same(source, there):
            return Copied(key, there["ContentLength"], _etag(there), copied=False)
        copy = self._in_parts if self.needs_parts(source["ContentLength"]) else self._at_once
        copy(source_key, key, source)
        landed = self._head(self.landing_bucket, key)
        if landed is None or not _same(source, landed):
            raise DamagedCopyError(f"s3://{self.landing_bucket}/{key} differs from its source")
        return Copied(key, landed["ContentLength"], _etag(landed), copied=True)

    def _head(self, bucket: str, key: str) -> Mapping[str, Any] | None:
        try:
            return self.s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
        except ClientError as error:
            if error.response["Error"]["Code"] in ("404", "NoSuchKey", "NotFound"):
                return None
            raise

    def _at_once(self, source_key: str, key: str, source: Mapping[str, Any]) -> None:
        self.s3.copy_object(
            Bucket=self.landing_bucket,
            Key=key,
            CopySource={"Bucket": self.source_bucket, "Key": source_key},
            CopySourceIfMatch=source["ETag"],
            MetadataDirective="REPLACE",
            TaggingDirective="REPLACE",
            ContentType="application/fhir+ndjson",
            Metadata={_SOURCE_ETAG: _etag(source)},
        )

    def _in_parts(self, source_key: str, key: str, source: Mapping[str, Any]) -> None:
        upload = self.s3.create_multipart_upload(
            Bucket=self.landing_bucket,
            Key=key,
            ContentType="application/fhir+ndjson",
            Metadata={_SOURCE_ETAG: _etag(source)},
        )["UploadId"]

        def copy_part(part: Part) -> CompletedPartTypeDef:
            reply = self.s3.upload_part_copy(
                Bucket=self.landing_bucket,
                Key=key,
                UploadId=upload,
                PartNumber=part.number,
                CopySource={"Bucket": self.source_bucket, "Key": source_key},
                CopySourceRange=part.range,
                CopySourceIfMatch=source["ETag"],
            )
            return {"PartNumber": part.number, "ETag": reply["CopyPartResult"]["ETag"]}

        try:
            with ThreadPoolExecutor(_PARALLEL) as pool:
                done = list(pool.map(copy_part, self.split(source["ContentLength"])))
            self.s3.complete_multipart_upload(
                Bucket=self.landing_bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": done}
            )
        except BaseException:
            self.s3.abort_multipart_upload(Bucket=self.landing_bucket, Key=key, UploadId=upload)
            raise


def _same(source: Mapping[str, Any], copy: Mapping[str, Any]) -> bool:
    """Equal in size, made from this source, and equal in every checksum that S3 has of both as a whole.

    ETags of the two cannot be compared: with KMS or in parts they are not digests of the content.
    """
    if source["ContentLength"] != copy["ContentLength"]:
        return False
    if copy.get("Metadata", {}).get(_SOURCE_ETAG) != _etag(source):
        return False
    whole = all(head.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT" for head in (source, copy))
    return not whole or all(
        source[name] == copy[name] for name in _CHECKSUMS if name in source and name in copy
    )


def _etag(head: Mapping[str, Any]) -> str:
    return str(head["ETag"]).strip('"')
