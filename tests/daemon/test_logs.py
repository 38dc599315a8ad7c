"""A log line is one line that tools can read, whatever is in it."""

import json
import logging
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftmon.daemon.logs import Format, Lines


def line(form: Format, message: str, *, tracebacks: bool = False, fault: BaseException | None = None) -> str:
    error = None if fault is None else (type(fault), fault, fault.__traceback__)
    record = logging.LogRecord("driftmon.x", logging.WARNING, "f", 1, message, (), error)
    return Lines(form, tracebacks=tracebacks).format(record)


@given(st.text())
def test_json_holds_the_message_as_it_is(message: str) -> None:
    read = json.loads(line("json", message))
    assert (read["msg"], read["level"], read["logger"]) == (message, "warn", "driftmon.x")


@given(st.text())
def test_logfmt_is_one_line_whose_message_reads_back(message: str) -> None:
    written = line("logfmt", message)
    assert not set(written) & set("\n\r\x1b")
    value = written.split(" msg=", 1)[1]
    assert (json.loads(value) if value.startswith('"') else value) == message


@pytest.mark.parametrize("tracebacks", [False, True])
def test_a_traceback_is_for_debugging_only(tracebacks: bool) -> None:
    try:
        raise ValueError("bad\nthing")
    except ValueError:
        fault = sys.exc_info()[1]
    written = line("logfmt", "broke", tracebacks=tracebacks, fault=fault)
    assert 'error="ValueError: bad\\nthing"' in written
    assert ("traceback=" in written) is tracebacks
