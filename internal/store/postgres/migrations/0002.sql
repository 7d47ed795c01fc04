-- Versions that lie in the future and wait; content and all are gone, but for
-- what became of them, when they have ended.
CREATE TABLE held (
    hold         BIGINT NOT NULL PRIMARY KEY,
    submission   BIGINT NOT NULL, -- first 8 bytes of the SHA-256 of its id
    organization TEXT   NOT NULL,
    wake         BIGINT,          -- microseconds since 1970; NULL: ended
    doc          BYTEA  NOT NULL, -- JSON
    raw          BYTEA
);
CREATE INDEX held_submission ON held (submission);
CREATE INDEX held_wake ON held (wake) WHERE wake IS NOT NULL;
CREATE INDEX held_organization ON held (organization) WHERE wake IS NOT NULL;
