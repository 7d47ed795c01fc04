-- Names of collections, by number.
CREATE TABLE collections (
    collection INTEGER PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE
);

-- Interned audiences, as JSON.
CREATE TABLE labels (
    label INTEGER PRIMARY KEY,
    doc   TEXT NOT NULL UNIQUE
);

-- The one order. A withdrawn version's row is gone, and a tombstone stands at a
-- later position, so positions are gapless when they are given out.
-- The content comes last: what stands before it is read without it.
CREATE TABLE objects (
    seq         INTEGER PRIMARY KEY,
    collection  INTEGER NOT NULL,
    label       INTEGER NOT NULL,
    idhash      INTEGER NOT NULL, -- first 8 bytes of the SHA-256 of id
    flags       INTEGER NOT NULL, -- 1 has siblings, 2 tombstone, 4 revoked
    added       INTEGER NOT NULL, -- date_added, microseconds since 1970
    modified    INTEGER,          -- seconds since 1970; NULL: no version
    nanoseconds INTEGER NOT NULL,
    type        TEXT NOT NULL,
    id          TEXT NOT NULL,
    version     TEXT NOT NULL,    -- as written
    about       TEXT,             -- what a sighting is of
    sha256      BLOB,
    raw         BLOB              -- NULL for tombstones
);
CREATE INDEX objects_collection ON objects (collection);
CREATE INDEX objects_id ON objects (idhash);
CREATE INDEX objects_about ON objects (about) WHERE about IS NOT NULL;
CREATE INDEX objects_definition ON objects (type) WHERE type = 'marking-definition';

-- What the ledger's entries are commitments to.
CREATE TABLE records (
    leaf       INTEGER PRIMARY KEY, -- number of the entry, from 0
    kind       TEXT NOT NULL,
    community  TEXT NOT NULL,
    time       INTEGER NOT NULL,    -- microseconds since 1970
    submission INTEGER,             -- first 8 bytes of the SHA-256 of its id
    entry      BLOB NOT NULL,
    outcome    BLOB,                -- JSON: what the statement does not say of a submission
    salt       BLOB NOT NULL,
    statement  BLOB NOT NULL
);
CREATE INDEX records_kind ON records (kind, community);
CREATE INDEX records_submission ON records (submission) WHERE submission IS NOT NULL;

-- The hashes of the ledger's tree, in the layout of golang.org/x/mod/sumdb/tlog.
CREATE TABLE hashes (
    position INTEGER PRIMARY KEY,
    hash     BLOB NOT NULL
);

-- The newest signed checkpoint.
CREATE TABLE checkpoint (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    size   INTEGER NOT NULL,
    signed BLOB NOT NULL
);

-- Who may speak, and to whom.
CREATE TABLE directory (
    kind TEXT NOT NULL,
    key  TEXT NOT NULL,
    doc  BLOB NOT NULL,
    PRIMARY KEY (kind, key)
) WITHOUT ROWID;
