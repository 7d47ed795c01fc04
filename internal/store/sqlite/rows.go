package sqlite

import (
	"crypto/sha256"
	"slices"
	"strings"

	"github.com/ncruces/go-sqlite3"

	"tocsin/internal/authorize"
	"tocsin/internal/store"
	"tocsin/internal/view"
)

// columns are what [reading.seal] reads, in its order.
const columns = "seq, label, flags, added, modified, nanoseconds, type, id, version, collection, sha256, raw"

// The places of some of the columns.
const (
	columnType       = 6
	columnCollection = 9
	columnSum        = 10
	columnRaw        = 11
)

// A reading reads rows that are wanted together. What they have in common it
// looks up once, and what they hold it keeps in few pieces of memory.
type reading struct {
	store *Store
	meta  bool // no content is wanted
	size  int  // of the content so far, in bytes

	number     int64 // of label, when that is not nil
	label      *authorize.Label
	collection int64 // the number of name, when that is not ""
	name       string

	content []byte
	texts   strings.Builder
}

// The pieces of memory are as large, in bytes. Content that is larger than a quarter of
// the largest has one of its own.
const (
	firstPiece   = 8 << 10
	largestPiece = 32 << 10
	textPiece    = 2 << 10
)

// seal reads a row of columns.
func (d *reading) seal(c *conn, r *sqlite3.Stmt) (view.Sealed, error) {
	if number := r.ColumnInt64(1); d.label == nil || number != d.number {
		label, err := d.store.labelOf(c, number)
		if err != nil {
			return view.Sealed{}, err
		}
		d.number, d.label = number, label
	}
	if number := r.ColumnInt64(columnCollection); d.name == "" || number != d.collection {
		d.store.mu.RLock()
		d.collection, d.name = number, d.store.names[number]
		d.store.mu.RUnlock()
	}
	row := store.Row{
		Seq: r.ColumnInt64(0), Flags: r.ColumnInt64(2), Added: r.ColumnInt64(3), Seconds: r.ColumnInt64(4), Nanoseconds: r.ColumnInt64(5),
		Type: c.typeName(r.ColumnRawText(columnType)), ID: d.text(r.ColumnRawText(7)), Version: d.text(r.ColumnRawText(8)),
	}
	m := row.Meta(d.name, d.label)
	if d.meta || m.Withdrawn {
		return view.Seal(m, nil), nil
	}
	var sum [sha256.Size]byte
	copy(sum[:], r.ColumnRawBlob(columnSum))
	return view.SealSummed(m, d.keep(r.ColumnRawBlob(columnRaw)), sum), nil
}

// full reports whether no more content may be read.
func (d *reading) full() bool { return d.size > store.MaxContent }

// keep copies a content that is good only for now.
func (d *reading) keep(content []byte) []byte {
	d.size += len(content)
	if len(content) > largestPiece/4 {
		return slices.Clone(content)
	}
	if len(content) > cap(d.content)-len(d.content) {
		d.content = make([]byte, 0, min(max(firstPiece, 2*cap(d.content)), largestPiece))
	}
	at := len(d.content)
	d.content = append(d.content, content...)
	return d.content[at:len(d.content):len(d.content)]
}

// text is keep for what is short.
func (d *reading) text(text []byte) string {
	if len(text) > textPiece/4 {
		return string(text)
	}
	if len(text) > d.texts.Cap()-d.texts.Len() {
		d.texts = strings.Builder{}
		d.texts.Grow(textPiece)
	}
	at := d.texts.Len()
	d.texts.Write(text)
	return d.texts.String()[at:]
}
