-- What agents have in force: one row for each that confirms for a collection.
CREATE TABLE followers (
    number       INTEGER PRIMARY KEY,
    collection   TEXT NOT NULL,    -- its id
    organization TEXT NOT NULL,
    token        TEXT NOT NULL,    -- its public id
    instance     TEXT NOT NULL,
    position     INTEGER NOT NULL, -- of the order, up to which all is in force
    seen         INTEGER NOT NULL  -- microseconds since 1970
);
CREATE UNIQUE INDEX followers_agent ON followers (collection, token, instance);
CREATE INDEX followers_seen ON followers (seen);
-- When it was so, for each position that was confirmed.
CREATE TABLE confirmations (
    follower INTEGER NOT NULL,
    position INTEGER NOT NULL,
    fetched  INTEGER NOT NULL, -- microseconds since 1970
    deployed INTEGER NOT NULL, -- microseconds since 1970
    PRIMARY KEY (follower, position)
) WITHOUT ROWID;
-- Objects that are not in force at an agent.
CREATE TABLE idle (
    object   INTEGER NOT NULL, -- first 8 bytes of the SHA-256 of its id
    follower INTEGER NOT NULL,
    id       TEXT NOT NULL,
    PRIMARY KEY (object, follower, id)
) WITHOUT ROWID;
CREATE INDEX idle_follower ON idle (follower);
