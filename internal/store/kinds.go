package store

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"iter"
)

// A Kind is one kind of the rows that a hub is made of, in whichever database
// it lives. What a database keeps besides, to find rows faster, it makes from
// these. All of them, in order, are the hub ([Kinds]).
type Kind struct {
	Name    string // of the table, but for [Standing]
	Key     int    // so many of the columns, the first ones, are the key, by which rows are in order
	Columns []Column
}

// A Column is one value of each row of a kind.
type Column struct {
	Name string
	Type ColumnType
}

// A ColumnType says what values of a column are, unless they are NULL (nil).
type ColumnType int

// The types of columns.
const (
	Number ColumnType = iota // int64
	Text                     // string, without NUL
	Bytes                    // []byte
)

// Values are a row of a kind, one for each column: an int64, a string, a []byte or
// nil. It is good until the next one is asked for.
type Values []any

// Rows are the rows of a kind in the order of its key. An error is the last.
type Rows = iter.Seq2[Values, error]

// Standing is the kind of the one row that says where the order and the ledger
// stand. It comes last, so that a database can add up what came before.
const Standing = "standing"

// Kinds returns every kind of rows, in the order in which they are moved. A new
// table, or a new column, belongs here: the tests of the databases look.
func Kinds() []Kind {
	return []Kind{
		kind("collections", 1, number("collection"), text("name")),
		kind("labels", 1, number("label"), text("doc")),
		kind("objects", 1, number("seq"), number("collection"), number("label"), number("idhash"), number("flags"), number("added"), number("modified"),
			number("nanoseconds"), text("type"), text("id"), text("version"), blob("about"), blob("sha256"), blob("raw")),
		kind("records", 1, number("leaf"), text("kind"), text("community"), number("time"), number("submission"), blob("entry"), blob("outcome"), blob("salt"), blob("statement")),
		kind("hashes", 1, number("position"), blob("hash")),
		kind("held", 1, number("hold"), number("submission"), text("organization"), number("wake"), blob("doc"), blob("raw")),
		kind("reviews", 1, number("number"), number("idhash"), text("community"), text("owner"), number("object"), number("submission"), number("expires"),
			blob("doc"), blob("original")),
		kind("followers", 1, number("number"), text("collection"), text("organization"), text("token"), text("instance"), number("position"), number("seen")),
		kind("confirmations", 2, number("follower"), number("position"), number("fetched"), number("deployed")),
		kind("idle", 3, number("object"), number("follower"), text("id")),
		kind("directory", 2, text("kind"), text("key"), blob("doc")),
		kind(Standing, 1, number("size"), blob("signed"), number("seq"), number("added")),
	}
}

func kind(name string, key int, columns ...Column) Kind { return Kind{name, key, columns} }
func number(name string) Column                         { return Column{name, Number} }
func text(name string) Column                           { return Column{name, Text} }
func blob(name string) Column                           { return Column{name, Bytes} }

// Names returns the names of the columns.
func (k Kind) Names() []string {
	out := make([]string, len(k.Columns))
	for i, c := range k.Columns {
		out[i] = c.Name
	}
	return out
}

// Find returns where a column is in the rows of the kind, -1 when it is not.
func (k Kind) Find(column string) int {
	for i, c := range k.Columns {
		if c.Name == column {
			return i
		}
	}
	return -1
}

// A Sum tells whether two stores have the same rows of a kind.
type Sum struct {
	Kind   string `json:"kind"`
	Rows   int64  `json:"rows"`
	SHA256 string `json:"sha256"` // of all values, in order
}

// A summing makes a sum of rows as they pass by.
type summing struct {
	kind   string
	rows   int64
	sha256 hash.Hash
	buffer []byte
}

func newSumming(k Kind) *summing { return &summing{kind: k.Name, sha256: sha256.New()} }

// add adds a row. Each value says its type and length first, so that no two
// different rows give the same bytes.
func (s *summing) add(row Values) {
	b := s.buffer[:0]
	for _, v := range row {
		switch v := v.(type) {
		case nil:
			b = append(b, 0)
		case int64:
			b = binary.BigEndian.AppendUint64(append(b, 1), uint64(v))
		case string:
			b = append(binary.BigEndian.AppendUint64(append(b, 2), uint64(len(v))), v...)
		case []byte:
			b = append(binary.BigEndian.AppendUint64(append(b, 3), uint64(len(v))), v...)
		default:
			panic("store: a row of a kind has a value of no kind")
		}
	}
	s.sha256.Write(b)
	s.buffer = b
	s.rows++
}

func (s *summing) sum() Sum { return Sum{s.kind, s.rows, hex.EncodeToString(s.sha256.Sum(nil))} }
