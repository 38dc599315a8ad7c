"""Passwords: checked once by bcrypt, then remembered; who is unknown costs as much."""

import asyncio

import pytest

from driftmon.daemon.access.credentials import Credentials
from tests.daemon.access_kit import HASH, PASSWORD, basic


def test_a_pair_is_checked_by_bcrypt_once_and_an_unknown_user_costs_as_much(monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[bytes] = []

    def count(password: bytes, value: bytes) -> bool:
        checked.append(value)
        return password == PASSWORD.encode()

    monkeypatch.setattr("driftmon.daemon.access.credentials._checked", count)
    credentials = Credentials({"me": HASH}, {})

    async def scenario(**pair: str) -> int:
        checked.clear()
        for _ in range(5):
            await credentials.scopes(basic(**pair)["Authorization"])
        return len(checked)

    assert asyncio.run(scenario(user="me")) == 1
    assert asyncio.run(scenario(user="me", password="wrong")) == 5
    assert asyncio.run(scenario(user="you")) == 5  # with the right password of another, and never let in
    assert set(checked) == {HASH.encode()}
    assert not asyncio.run(credentials.scopes(basic(user="you")["Authorization"]))


@pytest.mark.parametrize("password", [PASSWORD + "\0", "x" * 100, "", "ä"])
def test_odd_passwords_are_wrong_ones(password: str) -> None:
    assert not asyncio.run(Credentials({"me": HASH}, {}).scopes(basic(password=password)["Authorization"]))
