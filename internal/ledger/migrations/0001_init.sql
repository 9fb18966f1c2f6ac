-- Times are milliseconds since 1970-01-01 UTC. A key is the normalised login of an account, beside the spelled one.

CREATE TABLE runs (
    id          INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice: interventions count on their order
    started     INTEGER NOT NULL,
    mode        TEXT    NOT NULL CHECK (mode <> ''),
    policy      TEXT    NOT NULL,
    config_hash TEXT    NOT NULL,
    os_user     TEXT    NOT NULL,
    host        TEXT    NOT NULL,
    version     TEXT    NOT NULL,
    finished    INTEGER,
    result      TEXT    CHECK (result IN ('success', 'partial', 'held', 'failed')),
    error       TEXT    NOT NULL DEFAULT '',
    plan_hash   TEXT    NOT NULL DEFAULT '',
    totals      TEXT    NOT NULL DEFAULT '{}' CHECK (json_valid(totals)),
    CHECK ((finished IS NULL) = (result IS NULL))
) STRICT;
CREATE INDEX runs_started ON runs (started);

-- Which account is whose.
CREATE TABLE links (
    id            TEXT    PRIMARY KEY CHECK (id <> ''), -- stable id of the entry
    login         TEXT    NOT NULL,
    key           TEXT    NOT NULL UNIQUE CHECK (key <> ''),
    entry_key     TEXT    NOT NULL,
    dn            TEXT    NOT NULL,
    origin        TEXT    NOT NULL CHECK (origin IN ('created', 'matched', 'manual')),
    since         INTEGER NOT NULL,
    enabled_scope TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE leavers (
    id    TEXT    PRIMARY KEY,
    state TEXT    NOT NULL CHECK (state IN ('enabled', 'disabled', 'expired', 'missing')),
    since INTEGER NOT NULL,
    reads INTEGER NOT NULL CHECK (reads >= 0),
    scope TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

-- Rights that we gave, or took back (D). The unwanted columns are filled from when no rule gives the right any more.
CREATE TABLE grants (
    key            TEXT    NOT NULL CHECK (key <> ''),
    system         INTEGER NOT NULL,
    login          TEXT    NOT NULL,
    level          TEXT    NOT NULL CHECK (level IN ('D', 'N', 'A')),
    before         TEXT    NOT NULL CHECK (before IN ('', 'D', 'N', 'A', 'S')), -- staff's, before our first
    rule           TEXT    NOT NULL,
    at             INTEGER NOT NULL,
    wanted_scope   TEXT    NOT NULL,
    overruled      INTEGER NOT NULL CHECK (overruled IN (0, 1)),
    unwanted_state TEXT    CHECK (unwanted_state IN ('enabled', 'disabled', 'expired', 'missing')),
    unwanted_since INTEGER,
    unwanted_reads INTEGER CHECK (unwanted_reads >= 0),
    unwanted_scope TEXT,
    PRIMARY KEY (key, system),
    CHECK ((unwanted_state IS NULL) = (unwanted_since IS NULL) AND (unwanted_state IS NULL) = (unwanted_reads IS NULL)
        AND (unwanted_state IS NULL) = (unwanted_scope IS NULL))
) STRICT, WITHOUT ROWID;

CREATE TABLE deactivations (
    key       TEXT    PRIMARY KEY CHECK (key <> ''),
    login     TEXT    NOT NULL,
    at        INTEGER NOT NULL,
    overruled INTEGER NOT NULL CHECK (overruled IN (0, 1))
) STRICT, WITHOUT ROWID;

CREATE TABLE admins (
    key  TEXT    PRIMARY KEY,
    seen INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE rules (
    name      TEXT    PRIMARY KEY,
    members   INTEGER NOT NULL,
    selectors TEXT    NOT NULL,
    systems   TEXT    NOT NULL CHECK (json_valid(systems)),
    group_dns TEXT    NOT NULL CHECK (json_valid(group_dns))
) STRICT, WITHOUT ROWID;

-- The last accepted read: one row, or none before the first.
CREATE TABLE baseline (
    one         INTEGER PRIMARY KEY CHECK (one = 1),
    at          INTEGER NOT NULL,
    people      INTEGER NOT NULL,
    group_count INTEGER NOT NULL,
    scope       TEXT    NOT NULL,
    run         INTEGER REFERENCES runs (id) ON DELETE SET NULL -- that read it; NULL if somebody approved the counts
) STRICT;
CREATE INDEX baseline_run ON baseline (run);

-- The write-ahead memory of every POST that changes PPMS. An outcome of NULL means: sent or about to be, nobody knows.
CREATE TABLE journal (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    run        INTEGER NOT NULL REFERENCES runs (id),
    at         INTEGER NOT NULL,
    key        TEXT    NOT NULL CHECK (key <> ''),
    guard      TEXT    NOT NULL,
    approved   INTEGER NOT NULL CHECK (approved IN (0, 1)),
    change     TEXT    NOT NULL CHECK (json_valid(change)),
    outcome    TEXT    CHECK (outcome IN
        ('applied', 'refused', 'not-sent', 'stale', 'not-applied', 'does-not-stick', 'in-doubt')),
    settled_at INTEGER,
    detail     TEXT    NOT NULL DEFAULT '',
    CHECK ((outcome IS NULL) = (settled_at IS NULL))
) STRICT;
CREATE INDEX journal_run ON journal (run);
CREATE INDEX journal_key ON journal (key);
CREATE INDEX journal_at ON journal (at);
CREATE INDEX journal_open ON journal (id) WHERE outcome IS NULL OR outcome = 'in-doubt';

-- Plans that a guard held; the same plan held again replaces itself.
CREATE TABLE held_plans (
    hash TEXT    PRIMARY KEY CHECK (hash <> ''),
    run  INTEGER NOT NULL REFERENCES runs (id),
    at   INTEGER NOT NULL,
    plan TEXT    NOT NULL CHECK (json_valid(plan))
) STRICT;
CREATE INDEX held_plans_run ON held_plans (run);

CREATE TABLE approvals (
    change    TEXT    PRIMARY KEY, -- what names the change: kind, login, system, fields, from, to
    key       TEXT    NOT NULL,
    plan_hash TEXT    NOT NULL,
    at        INTEGER NOT NULL,
    until     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX approvals_key ON approvals (key);

CREATE TABLE holds (
    key    TEXT    NOT NULL CHECK (key <> ''),
    field  TEXT    NOT NULL,
    reason TEXT    NOT NULL,
    run    INTEGER REFERENCES runs (id) ON DELETE SET NULL, -- the run that was undone, if that is why
    at     INTEGER NOT NULL,
    PRIMARY KEY (key, field)
) STRICT, WITHOUT ROWID;
CREATE INDEX holds_run ON holds (run) WHERE run IS NOT NULL;

-- What people told the ledger. run is the last one that had begun by then: what a run read before it is older than the word.
CREATE TABLE interventions (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    run     INTEGER NOT NULL,
    verb    TEXT    NOT NULL CHECK (verb IN ('link', 'unlink', 'approve', 'hold', 'release')),
    key     TEXT    NOT NULL DEFAULT '',
    person  TEXT    NOT NULL DEFAULT '', -- stable id
    detail  TEXT    NOT NULL DEFAULT '',
    os_user TEXT    NOT NULL,
    host    TEXT    NOT NULL,
    version TEXT    NOT NULL
) STRICT;
CREATE INDEX interventions_run ON interventions (run);

-- The record of each account as last read from PPMS. Two logins that differ in case only are two rows.
CREATE TABLE accounts (
    login       TEXT    PRIMARY KEY CHECK (login <> ''),
    key         TEXT    NOT NULL,
    lname       TEXT    NOT NULL,
    fname       TEXT    NOT NULL,
    email       TEXT    NOT NULL,
    phone       TEXT    NOT NULL,
    bcode       TEXT    NOT NULL,
    affiliation TEXT    NOT NULL,
    unitlogin   TEXT    NOT NULL,
    active      INTEGER NOT NULL CHECK (active IN (0, 1)),
    verified    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX accounts_key ON accounts (key);

-- What the last run saw of PPMS beside the accounts: one row.
CREATE TABLE view (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    run     INTEGER REFERENCES runs (id) ON DELETE SET NULL,
    content TEXT    NOT NULL CHECK (json_valid(content))
) STRICT;
CREATE INDEX view_run ON view (run);
