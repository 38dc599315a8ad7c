"""Tables: what state.db consists of, and which version of it this driftmon writes.

Law: a version is written once and never changed; a newer one says how the older becomes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

VERSION: Final = 3
FIRST: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
CREATE TABLE stream (name TEXT PRIMARY KEY, shape BLOB NOT NULL, reference BLOB, head BLOB NOT NULL) STRICT;
CREATE TABLE pane (stream TEXT, ring TEXT, pane INTEGER, crc INTEGER NOT NULL, data BLOB NOT NULL,
                   PRIMARY KEY (stream, ring, pane)) STRICT;
CREATE TABLE offset (stream TEXT, origin TEXT, position TEXT NOT NULL, PRIMARY KEY (stream, origin)) STRICT;
CREATE TABLE journal (seq INTEGER PRIMARY KEY, stream TEXT NOT NULL, crc INTEGER NOT NULL, delta BLOB NOT NULL) STRICT;
CREATE TABLE seen (stream TEXT, key TEXT, at_ms INTEGER NOT NULL, outcome BLOB NOT NULL,
                   PRIMARY KEY (stream, key)) STRICT;
CREATE INDEX seen_at ON seen (at_ms);
"""

# What makes a database of the version before one of this version; statements end with a semicolon.
MIGRATIONS: Final[Mapping[int, str]] = {
    # 2: alerts leave `stream.head`, where all were written again for each that changed (an old head is still
    #    read until its stream is saved again); clocks, counters, notifications and the rows of a warm-up are kept too.
    #    Cells that no index and no checksum guarded have a seal; rows that version 1 wrote are without.
    2: """
CREATE TABLE alert (stream TEXT, key TEXT, data BLOB NOT NULL, crc INTEGER NOT NULL,
                    PRIMARY KEY (stream, key)) STRICT;
CREATE TABLE clock (stream TEXT PRIMARY KEY, crc INTEGER NOT NULL, data BLOB NOT NULL) STRICT;
CREATE TABLE counter (stream TEXT, name TEXT, labels TEXT, value INTEGER NOT NULL, crc INTEGER NOT NULL,
                      PRIMARY KEY (stream, name, labels)) STRICT;
CREATE TABLE gathered (seq INTEGER PRIMARY KEY, stream TEXT NOT NULL, crc INTEGER NOT NULL, data BLOB NOT NULL) STRICT;
CREATE TABLE change (number INTEGER PRIMARY KEY, data BLOB NOT NULL, crc INTEGER NOT NULL) STRICT;
CREATE TABLE owed (target TEXT, fingerprint TEXT, data BLOB NOT NULL, crc INTEGER NOT NULL,
                   PRIMARY KEY (target, fingerprint)) STRICT;
CREATE TABLE label (seq INTEGER PRIMARY KEY, stream TEXT NOT NULL, last INTEGER NOT NULL, crc INTEGER NOT NULL,
                    data BLOB NOT NULL) STRICT;
CREATE TABLE labels (stream TEXT PRIMARY KEY, crc INTEGER NOT NULL, data BLOB NOT NULL) STRICT;
CREATE TABLE watched (seq INTEGER PRIMARY KEY, stream TEXT NOT NULL, rule TEXT NOT NULL, feature TEXT NOT NULL,
                      crc INTEGER NOT NULL, data BLOB NOT NULL) STRICT;
CREATE INDEX gathered_of ON gathered (stream);
CREATE INDEX label_of ON label (stream, last);
CREATE INDEX watched_of ON watched (stream, rule, feature);
ALTER TABLE stream ADD COLUMN crc INTEGER;
ALTER TABLE offset ADD COLUMN crc INTEGER;
ALTER TABLE seen ADD COLUMN crc INTEGER;
""",
    # 3: panes have only as many bytes of each count as any of theirs needs (deltas.py); those of before are still read.
    3: "",
}
