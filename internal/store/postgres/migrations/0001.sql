-- What every writing transaction takes for itself first (FOR UPDATE) and changes
-- last: where the one order and the ledger stand.
CREATE TABLE sequencer (
    one         BIGINT PRIMARY KEY CHECK (one = 1),
    commits     BIGINT NOT NULL, -- transactions so far: whoever knows the number knows all
    holder      TEXT   NOT NULL, -- the replica that wrote last, for people
    seq         BIGINT NOT NULL, -- last position that is taken
    added       BIGINT NOT NULL, -- its date_added, microseconds since 1970
    size        BIGINT NOT NULL, -- entries in the ledger
    signed      BYTEA  NOT NULL, -- the newest signed checkpoint
    collections BIGINT NOT NULL, -- last number that was given to a collection
    labels      BIGINT NOT NULL, -- last number that was given to a label
    directory   BIGINT NOT NULL, -- changes of the directory so far
    moved       BIGINT NOT NULL  -- 1: the hub lives somewhere else now
);

-- The hub's identity and signing key, sealed under a key that is not here.
CREATE TABLE hub (
    one    BIGINT PRIMARY KEY CHECK (one = 1),
    sealed BYTEA NOT NULL
);

-- Names of collections, by number, and the last position of each.
CREATE TABLE collections (
    collection BIGINT PRIMARY KEY,
    name       TEXT   NOT NULL UNIQUE,
    head       BIGINT NOT NULL
);

-- Interned audiences, as JSON. An index of the texts would refuse long ones.
CREATE TABLE labels (
    label     BIGINT PRIMARY KEY,
    sha256    BYTEA  NOT NULL UNIQUE,
    community TEXT   NOT NULL,
    doc       TEXT   NOT NULL
);

-- The one order. A withdrawn version's row is gone, and a tombstone stands at a
-- later position, so positions are gapless when they are given out. What a
-- producer may put a NUL into is BYTEA.
CREATE TABLE objects (
    seq         BIGINT NOT NULL PRIMARY KEY,
    collection  BIGINT NOT NULL,
    label       BIGINT NOT NULL,
    idhash      BIGINT NOT NULL, -- first 8 bytes of the SHA-256 of id
    flags       BIGINT NOT NULL, -- 1 has siblings, 2 tombstone, 4 revoked
    added       BIGINT NOT NULL, -- date_added, microseconds since 1970
    modified    BIGINT,          -- seconds since 1970; NULL: no version
    nanoseconds BIGINT NOT NULL,
    abouthash   BIGINT,          -- of about, as idhash is of id
    type        TEXT   NOT NULL,
    id          TEXT   NOT NULL,
    version     TEXT   NOT NULL, -- as written
    about       BYTEA,           -- what a sighting is of
    replaces    BIGINT,          -- of a tombstone: the position that was withdrawn
    sha256      BYTEA,
    raw         BYTEA            -- NULL for tombstones
);
CREATE INDEX objects_collection ON objects (collection, seq);
CREATE INDEX objects_id ON objects (idhash);
CREATE INDEX objects_about ON objects (abouthash) WHERE abouthash IS NOT NULL;
CREATE INDEX objects_definition ON objects (seq) WHERE type = 'marking-definition';

-- What the ledger's entries are commitments to.
CREATE TABLE records (
    leaf       BIGINT NOT NULL PRIMARY KEY, -- number of the entry, from 0
    kind       TEXT   NOT NULL,
    community  TEXT   NOT NULL,
    time       BIGINT NOT NULL,             -- microseconds since 1970
    submission BIGINT,                      -- first 8 bytes of the SHA-256 of its id
    entry      BYTEA  NOT NULL,
    outcome    BYTEA,                       -- JSON: what the statement does not say of a submission
    salt       BYTEA  NOT NULL,
    statement  BYTEA  NOT NULL
);
CREATE INDEX records_kind ON records (kind, community, leaf);
CREATE INDEX records_submission ON records (submission) WHERE submission IS NOT NULL;

-- The hashes of the ledger's tree, in the layout of golang.org/x/mod/sumdb/tlog.
CREATE TABLE hashes (
    position BIGINT NOT NULL PRIMARY KEY,
    hash     BYTEA  NOT NULL
);

-- Who may speak, and to whom.
CREATE TABLE directory (
    kind TEXT  NOT NULL,
    key  TEXT  NOT NULL,
    doc  BYTEA NOT NULL,
    PRIMARY KEY (kind, key)
);
