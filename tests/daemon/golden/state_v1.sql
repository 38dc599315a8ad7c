-- state.db as version 1 wrote it, by `sqlite3 state.db .dump`: two batch ids, one position, one entry of the journal.
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
INSERT INTO meta VALUES('schema_version',1);
CREATE TABLE stream (name TEXT PRIMARY KEY, shape BLOB NOT NULL, reference BLOB, head BLOB NOT NULL) STRICT;
INSERT INTO stream VALUES('s',X'7b7d',NULL,X'7b7d');
CREATE TABLE pane (stream TEXT, ring TEXT, pane INTEGER, crc INTEGER NOT NULL, data BLOB NOT NULL,
                   PRIMARY KEY (stream, ring, pane)) STRICT;
INSERT INTO pane VALUES('s','lifetime',0,1,X'00');
CREATE TABLE offset (stream TEXT, origin TEXT, position TEXT NOT NULL, PRIMARY KEY (stream, origin)) STRICT;
INSERT INTO offset VALUES('s','file:/a','{"offset": 7}');
CREATE TABLE journal (seq INTEGER PRIMARY KEY, stream TEXT NOT NULL, crc INTEGER NOT NULL, delta BLOB NOT NULL) STRICT;
INSERT INTO journal VALUES(1,'s',2,X'01');
CREATE TABLE seen (stream TEXT, key TEXT, at_ms INTEGER NOT NULL, outcome BLOB NOT NULL,
                   PRIMARY KEY (stream, key)) STRICT;
INSERT INTO seen VALUES('s','a',1000,X'7b7d');
INSERT INTO seen VALUES('s','b',2000,X'7b7d');
CREATE INDEX seen_at ON seen (at_ms);
