"""Compression: gzip and zstd undone, in bounds.

Law: no more than the limit is ever unpacked, whatever a few bytes claim to hold (gzip can pack 1,032 to 1).
"""

from __future__ import annotations

import importlib
import io
import zlib
from typing import Final

RATIO: Final = 100  # honest records pack 5 to 20 to 1
FREE_BYTES: Final = 1 << 20  # up to which the ratio does not matter
ZSTD_WINDOW_BYTES: Final = 1 << 23
GZIP: Final = 16 + zlib.MAX_WBITS
SIZE_BYTES: Final = 4  # at the end of a member, modulo 2^32 (RFC 1952)


class DecompressionError(ValueError):
    """The data is not what its encoding says."""


class UnsupportedError(DecompressionError):
    """An encoding that cannot be undone here."""


class TooLarge(DecompressionError):  # noqa: N818  a verdict on the data, as Retry and Reject are
    """The data unpacks to more than the limit."""


def decompress(data: bytes, encoding: str, limit_bytes: int, ratio: int = RATIO) -> bytes:
    """The data behind a Content-Encoding: identity, gzip or zstd; at most `limit_bytes` of it.

    Raises TooLarge beyond the limit, or beyond 1 MiB where that is over `ratio` times the data; UnsupportedError
    for another encoding; DecompressionError for damaged or cut data.

    >>> import gzip
    >>> decompress(gzip.compress(b"drift"), "gzip", 5)
    b'drift'
    """
    name = encoding.strip().lower()
    limit_bytes = min(limit_bytes, max(FREE_BYTES, ratio * len(data)))
    if name in ("", "identity"):
        found = data
    elif name in ("gzip", "x-gzip"):
        found = _gzip(data, limit_bytes)
    elif name == "zstd":
        found = _zstd(data, limit_bytes)
    else:
        raise UnsupportedError(f"the encoding {encoding[:40]!r} is not known: send gzip, zstd or plain data")
    if len(found) > limit_bytes:
        raise TooLarge(f"the data unpacks to more than {limit_bytes:,} bytes: send it in smaller pieces")
    return found


def said_size(data: bytes, encoding: str) -> int:
    """The bytes that the data says it unpacks to, where gzip says so at its end; else its own length.

    The sender's word, and of the last member alone: enough to refuse by before any work, never to accept by.

    >>> import gzip
    >>> said_size(gzip.compress(b"drift" * 100), "gzip"), said_size(b"drift", "identity"), said_size(b"", "gzip")
    (500, 5, 0)
    """
    if encoding in ("gzip", "x-gzip"):
        return max(len(data), int.from_bytes(data[-SIZE_BYTES:], "little"))
    return len(data)


def _gzip(data: bytes, limit_bytes: int) -> bytes:
    """All members one after another; one byte beyond the limit at most."""
    found = bytearray()
    while data:
        member = zlib.decompressobj(GZIP)
        try:
            found += member.decompress(data, limit_bytes + 1 - len(found))
        except zlib.error as fault:
            raise DecompressionError(f"the data is not gzip, or damaged: {fault}") from None
        if len(found) > limit_bytes:
            break
        if not member.eof:
            raise DecompressionError("the gzip data is cut: send all of it")
        data = member.unused_data
    return bytes(found)


def _zstd(data: bytes, limit_bytes: int) -> bytes:
    try:
        zstandard = importlib.import_module("zstandard")
    except ImportError:
        raise UnsupportedError("zstd needs the package zstandard: add it, or send gzip") from None
    unpacker = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES)
    try:
        with unpacker.stream_reader(io.BytesIO(data), read_across_frames=True) as reader:
            found: bytes = reader.read(limit_bytes + 1)
        while data and len(found) <= limit_bytes:
            frame = unpacker.decompressobj()
            frame.decompress(data)  # bounded: the reader has just unpacked it; but only this tells a cut frame
            if not frame.eof:
                raise DecompressionError("the zstd data is cut: send all of it")
            data = frame.unused_data
    except zstandard.ZstdError as fault:
        raise DecompressionError(f"the data is not zstd, or damaged: {fault}") from None
    return found
