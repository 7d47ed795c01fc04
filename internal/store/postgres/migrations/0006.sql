-- Where a hub that was moved went to, or came from. How far the move is at this
-- end is in sequencer.moved, which everybody who writes reads: 0 the hub is at
-- home here, 1 it is gone, 2 it is coming, 3 it is whole.
CREATE TABLE moved (
    one   BIGINT PRIMARY KEY CHECK (one = 1),
    move  TEXT NOT NULL, -- a random name, the same at the other end
    hub   TEXT NOT NULL, -- its verifier key
    place TEXT NOT NULL  -- the other end, without secrets
);
