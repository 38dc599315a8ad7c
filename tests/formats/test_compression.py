"""Compression: what comes back, and what is refused before it fills the memory."""

from __future__ import annotations

import builtins
import contextlib
import gzip
import importlib
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftmon.formats.compression import DecompressionError, TooLarge, UnsupportedError, decompress

MIB = 1 << 20


def zstd(data: bytes) -> bytes:
    return bytes(pytest.importorskip("zstandard", reason="zstd needs the package zstandard").compress(data))


PACKERS = pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("zstd", zstd)])
Pack = Callable[[bytes], bytes]


@PACKERS
def test_data_comes_back_in_any_number_of_members(encoding: str, pack: Pack) -> None:
    for parts in ([b""], [b"one\n"], [b"one\n", b"", b"two\n"]):
        assert decompress(b"".join(map(pack, parts)), encoding, 100) == b"".join(parts)


@pytest.mark.parametrize("encoding", ["", "identity", " Identity "])
def test_plain_data_is_bounded_too(encoding: str) -> None:
    assert decompress(b"1234", encoding, 4) == b"1234"
    with pytest.raises(TooLarge, match="more than 3 bytes"):
        decompress(b"1234", encoding, 3)


def test_names_of_encodings_are_taken_in_any_case() -> None:
    assert decompress(gzip.compress(b"x"), "X-GZip", 10) == b"x"


@PACKERS
def test_the_limit_is_exact_over_all_members(encoding: str, pack: Pack) -> None:
    data = pack(b"x" * 60) + pack(b"y" * 40)
    assert len(decompress(data, encoding, 100)) == 100
    with pytest.raises(TooLarge, match="unpacks to more than 99 bytes: send it in smaller pieces"):
        decompress(data, encoding, 99)


@PACKERS
def test_a_bomb_is_refused_in_little_memory(encoding: str, pack: Pack) -> None:
    bomb = pack(bytes(64 * MIB))
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            decompress(bomb, encoding, 16 * MIB)
        assert tracemalloc.get_traced_memory()[1] < 24 * MIB
    finally:
        tracemalloc.stop()


@PACKERS
def test_beyond_one_mebibyte_a_hundred_to_one_is_a_bomb(encoding: str, pack: Pack) -> None:
    assert len(decompress(pack(bytes(MIB)), encoding, 16 * MIB)) == MIB
    with pytest.raises(TooLarge):
        decompress(pack(bytes(MIB + 1)), encoding, 16 * MIB)


@PACKERS
@pytest.mark.parametrize(
    "damage", [lambda d: d[:-3], lambda d: d[: len(d) // 2], lambda d: b"junk" + d, lambda d: d + b"junk"]
)
def test_cut_or_damaged_data_is_refused(encoding: str, pack: Pack, damage: Callable[[bytes], bytes]) -> None:
    with pytest.raises(DecompressionError, match=r"cut|damaged") as caught:
        decompress(damage(pack(b"some data, not too regular: 3.14159")), encoding, 100)
    assert not isinstance(caught.value, TooLarge)


def test_another_encoding_is_refused_by_name() -> None:
    for encoding in ("br", "deflate", "gzip, gzip", "x" * 100):
        with pytest.raises(UnsupportedError, match="is not known: send gzip, zstd or plain data"):
            decompress(b"", encoding, 10)


def test_without_its_package_zstd_is_refused_with_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_module(name: str) -> Any:
        raise builtins.ImportError(name)

    monkeypatch.setattr(importlib, "import_module", no_module)
    with pytest.raises(UnsupportedError, match="add it, or send gzip"):
        decompress(b"", "zstd", 10)


@given(st.binary(max_size=100), st.sampled_from(["gzip", "zstd"]))
def test_no_bytes_raise_anything_else(data: bytes, encoding: str) -> None:
    with contextlib.suppress(DecompressionError):
        assert len(decompress(data, encoding, 50)) <= 50
