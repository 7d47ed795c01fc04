-- Objects of one type in order (TAXII 2.1 §3.4.1, match[type]): a rare type among
-- millions is found without looking at the others. Each type grows at its end.
CREATE INDEX objects_type ON objects (collection, type, seq);
