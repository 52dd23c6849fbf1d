"""What the files of Iceberg tables say, with everything in them decompressed."""

from __future__ import annotations

import contextlib
import gzip
import io
import itertools
import zlib
from pathlib import Path

from pyarrow import parquet


def files_holding(folder: Path, text: str) -> list[str]:
    """Files in which a text occurs, in their bytes or in what these are when decompressed."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return sorted(str(path.relative_to(folder)) for path in paths if text.encode() in content(path))


def content(path: Path) -> bytes:
    """A file's bytes, and what these are when decompressed: rows, statistics, bounds of columns."""
    raw = path.read_bytes()
    if raw[:2] == b"\x1f\x8b":
        return raw + gzip.decompress(raw)
    if path.suffix == ".parquet":
        file = parquet.ParquetFile(io.BytesIO(raw))
        return raw + repr((file.read().to_pydict(), file.metadata.to_dict())).encode()
    if path.suffix == ".avro":
        return raw + _avro_blocks(raw)
    return raw


def _avro_blocks(raw: bytes) -> bytes:
    """The blocks of an Avro file of Iceberg's, inflated: manifests hold the bounds of columns.

    After the header and after each block stand the 16 bytes that end the file; a block begins with two
    numbers of unknown length, so its stream is looked for.
    """
    plain = b""
    for block in raw.split(raw[-16:])[1:]:
        for start, window in itertools.product(range(min(12, len(block))), (-15, 15, 31)):
            with contextlib.suppress(zlib.error):
                plain += zlib.decompressobj(wbits=window).decompress(block[start:])
                break
    return plain
