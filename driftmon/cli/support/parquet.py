"""Parquet files as batches; needs the extra `parquet`, imported only when a file asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftmon.cli.support.faults import Fault
from driftmon.cli.support.inputs import Input, Progress
from driftmon.formats import times
from driftmon.formats.layout import Layout, TimeField, path_of
from driftmon.formats.rejections import BAD_TIME, RecordError
from driftmon.monitor.batch import Batch
from driftmon.monitor.scoring import ANY
from driftmon.stats.columns import Column, column_of


def opened(source: Input) -> Any:
    """The file, by pyarrow; Fault without the extra or where it is no Parquet file."""
    try:
        from pyarrow import parquet  # noqa: PLC0415  an extra
    except ImportError as missing:
        cure = "pip install 'driftmon-sidecar[parquet]'"
        raise Fault(f"{source.name}: reading Parquet needs an extra: {cure}") from missing
    try:
        return parquet.ParquetFile(source.path)
    except (OSError, ValueError) as fault:
        raise Fault(f"{source.name}: is no readable Parquet file: {fault}") from fault


def records(source: Input, told: Progress) -> Iterator[list[dict[str, object]]]:
    """Its rows as records, a batch at a time."""
    for table in opened(source).iter_batches():
        yield table.to_pylist()
    told(source.size_bytes)


def batches(source: Input, layout: Layout, told: Progress) -> Iterator[Batch]:
    """Its columns, typed; a feature without a column in the file is absent."""
    file = opened(source)
    for table in file.iter_batches():
        yield _batch(table, layout)
        told(source.size_bytes * table.num_rows // max(1, file.metadata.num_rows))


def _batch(table: Any, layout: Layout) -> Batch:
    found = [(one, _at(table, path_of(one))) for one in layout.readings]
    columns = layout.columns({one.name: _column(one.kind, values) for one, values in found if values is not None})
    if layout.time is None:
        return Batch(table.num_rows, columns)
    readable, times_ms = _times(_at(table, tuple(layout.time.field.split("."))), layout.time, table.num_rows)
    if readable.all():
        return Batch(table.num_rows, columns, times_ms)
    kept = np.flatnonzero(readable)
    return _batch_of(kept, columns, times_ms, table.num_rows)


def _batch_of(kept: NDArray[np.int64], columns: dict[str, Column], times_ms: NDArray[np.int64], rows: int) -> Batch:
    """The rows whose time could be read; the others are rejected."""
    place = {int(row): at for at, row in enumerate(kept)}
    chosen = {}
    for name, column in columns.items():
        values = column.values[kept] if isinstance(column.values, np.ndarray) else [column.values[row] for row in kept]
        invalid = {reason: [place[row] for row in at if row in place] for reason, at in column.invalid.items()}
        tallies = None if column.tallies is None else column.tallies[:, kept]
        chosen[name] = Column(values, invalid, [place[row] for row in column.absent if row in place], tallies)
    return Batch(len(kept), chosen, times_ms[kept], {BAD_TIME: rows - len(kept)})


def _at(table: Any, path: tuple[str, ...]) -> Any:
    """The column at a path, None where there is none."""
    if path[0] not in table.schema.names:
        return None
    column = table.column(path[0])
    for key in path[1:]:
        kind = column.type
        if not hasattr(kind, "get_field_index") or kind.get_field_index(key) < 0:
            return None
        column = column.flatten()[kind.get_field_index(key)]
    return column


def _column(kind: str, values: Any) -> Column:
    """Lists and maps as Python's: numpy has none."""
    return column_of(kind, values.to_pylist() if kind == ANY else values)


def _times(column: Any, time: TimeField, rows: int) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """bool[rows]: which times could be read; int64[rows] in ms, 0 where not."""
    import pyarrow  # noqa: PLC0415  an extra

    if column is None:
        return np.zeros(rows, dtype=np.bool_), np.zeros(rows, dtype=np.int64)
    if pyarrow.types.is_timestamp(column.type) or pyarrow.types.is_date(column.type):
        moments = column.cast(pyarrow.timestamp("ms", tz=getattr(column.type, "tz", None)), safe=False)
        found = moments.cast(pyarrow.int64()).to_pylist()
    else:
        found = [_time(value, time) for value in column.to_pylist()]
    readable = np.array([moment is not None for moment in found], dtype=np.bool_)
    return readable, np.array([moment or 0 for moment in found], dtype=np.int64)


def _time(value: object, time: TimeField) -> int | None:
    try:
        return times.milliseconds(value, time.unit)
    except RecordError:
        return None
