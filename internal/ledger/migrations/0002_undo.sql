-- A run may undo another.
ALTER TABLE runs ADD COLUMN undoes INTEGER; -- that run; NULL for any other mode

-- What PPMS says it did and did not do. field as in holds; '' is the account itself.
CREATE TABLE stuck (
    key    TEXT    NOT NULL CHECK (key <> ''),
    field  TEXT    NOT NULL,
    login  TEXT    NOT NULL,
    wanted TEXT    NOT NULL,
    have   TEXT    NOT NULL, -- what PPMS had after the last try
    tries  INTEGER NOT NULL CHECK (tries > 0), -- runs in a row
    run    INTEGER NOT NULL, -- the last of them
    at     INTEGER NOT NULL,
    PRIMARY KEY (key, field)
) STRICT, WITHOUT ROWID;

-- One more verb: forget. It is on record without a name.
CREATE TABLE interventions_2 (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    run     INTEGER NOT NULL,
    verb    TEXT    NOT NULL CHECK (verb IN ('link', 'unlink', 'approve', 'hold', 'release', 'forget')),
    key     TEXT    NOT NULL DEFAULT '',
    person  TEXT    NOT NULL DEFAULT '', -- stable id
    detail  TEXT    NOT NULL DEFAULT '',
    os_user TEXT    NOT NULL,
    host    TEXT    NOT NULL,
    version TEXT    NOT NULL
) STRICT;
INSERT INTO interventions_2 SELECT * FROM interventions;
DROP TABLE interventions;
ALTER TABLE interventions_2 RENAME TO interventions;
CREATE INDEX interventions_run ON interventions (run);
CREATE INDEX interventions_key ON interventions (key);
