-- Where to look for the versions of an object: the program fills these from
-- objects, by itself, with all that stands after the last position of any run.
-- An index of SQLite's would do the same, but the hash of an id is random: every
-- object would dirty a page of its own.
DROP INDEX objects_id;

-- A run is the ids of positions that follow each other, sorted once.
CREATE TABLE idruns (
    run     INTEGER PRIMARY KEY, -- never given twice
    level   INTEGER NOT NULL,    -- how often it was merged
    first   INTEGER NOT NULL,    -- its positions: the first
    last    INTEGER NOT NULL     -- and the last
);

-- Its entries, in blocks: 16 bytes each, idhash and seq, big-endian.
CREATE TABLE ids (
    at    INTEGER PRIMARY KEY, -- run * 2^44 + the upper 44 bits of the first idhash
    block BLOB NOT NULL
);
