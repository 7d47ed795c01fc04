-- Values that the privacy gate masked and people look at. What has ended has no
-- value any more.
CREATE TABLE reviews (
    number     INTEGER PRIMARY KEY,
    idhash     INTEGER NOT NULL, -- first 8 bytes of the SHA-256 of its id
    community  TEXT NOT NULL,
    owner      TEXT NOT NULL,
    collection TEXT NOT NULL,    -- its id
    object     INTEGER NOT NULL, -- first 8 bytes of the SHA-256 of the object's id
    submission INTEGER NOT NULL, -- first 8 bytes of the SHA-256 of its id
    expires    INTEGER,          -- microseconds since 1970; NULL: ended
    doc        BLOB NOT NULL,    -- JSON
    original   BLOB
);
CREATE INDEX reviews_id ON reviews (idhash);
CREATE INDEX reviews_object ON reviews (object) WHERE expires IS NOT NULL;
CREATE INDEX reviews_submission ON reviews (submission) WHERE expires IS NOT NULL;
CREATE INDEX reviews_owner ON reviews (owner) WHERE expires IS NOT NULL;
CREATE INDEX reviews_pending ON reviews (community, number) WHERE expires IS NOT NULL;
CREATE INDEX reviews_ended ON reviews (community, number) WHERE expires IS NULL;
CREATE INDEX reviews_expires ON reviews (expires) WHERE expires IS NOT NULL;
