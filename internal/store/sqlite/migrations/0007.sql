-- Where a hub that was moved went to, or came from.
CREATE TABLE moved (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    phase INTEGER NOT NULL, -- 0 it is at home here, 1 it is gone, 2 it is coming, 3 it is whole
    move  TEXT NOT NULL,    -- a random name, the same at the other end
    hub   TEXT NOT NULL,    -- its verifier key
    place TEXT NOT NULL     -- the other end, without secrets
);
