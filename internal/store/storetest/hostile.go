package storetest

import (
	"context"
	"fmt"
	"testing"
)

// nul: JSON may hold the character U+0000 in any string, and some databases have
// no place for it in a text. Every store answers alike.
func nul(t *testing.T, p Place) {
	s := open(t, p)
	named := Indicator(1, 0, `,"name":"a\u0000b","x_note":"\u0000"`)
	wantOne(t, share(t, s, "bank", named), 1, false)
	wantOne(t, share(t, s, "bank", named), 1, true)
	wantRefused(t, share(t, s, "bank", Indicator(1, 0, `,"name":"a","x_note":"\u0000"`)))
	// What a sighting is said to be of is a database's key.
	of := fmt.Sprintf(`{"type":"x-nul","spec_version":"2.1","id":%q,"created":%q,"modified":%[2]q,"sighting_of_ref":"a\u0000b"}`, id("x-nul", 1), versionOf(0))
	wantOne(t, share(t, s, "bank", of), 2, false)
	s = reopen(t, s, p)
	rows := scan(t, s, collection, 10)
	if len(rows) != 2 || raw(t, rows[0]) != named || raw(t, rows[1]) != of {
		t.Errorf("%d rows, want both objects byte for byte", len(rows))
	}
	if got, err := s.Sightings(context.Background(), community, "a\x00b"); err != nil || len(got) != 1 || got[0].Seq != 2 {
		t.Errorf("Sightings = %v, %v, want position 2", seqs(got), err)
	}
}
