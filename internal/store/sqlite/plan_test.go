package sqlite

import (
	"strings"
	"testing"

	"tocsin/internal/store"
	"tocsin/internal/store/storetest"
)

// Every way in which objects are found goes along an index, and none sorts: what
// a page costs does not depend on how much is stored.
func TestPagesAreFoundByIndexes(t *testing.T) {
	s := openStore(t, t.TempDir(), newSigner(t), Options{})
	for name, tt := range map[string]struct{ sql, want string }{
		"all":  {findAll, "USING INDEX objects_collection (collection=? AND rowid>?)"},
		"type": {findType, "USING COVERING INDEX objects_type (collection=? AND type=? AND rowid>?)"},
		"run":  {fetchRun, "USING INTEGER PRIMARY KEY (rowid>?)"},
		"row":  {fetchRow, "USING INTEGER PRIMARY KEY (rowid=?)"},
	} {
		var plan []string
		var err error
		for r := range s.writer.c.rows(&err, "EXPLAIN QUERY PLAN "+tt.sql) {
			plan = append(plan, r.ColumnText(3))
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(plan) != 1 || !strings.HasPrefix(plan[0], "SEARCH objects ") || !strings.HasSuffix(plan[0], tt.want) {
			t.Errorf("%s: the plan is %q, want one search %s", name, plan, tt.want)
		}
	}
}

// A rare type among many others is found by one scan, whatever stands between.
func TestARareTypeIsFoundAtOnce(t *testing.T) {
	s := openStore(t, t.TempDir(), newSigner(t), Options{})
	var objects []string
	for n := range 3000 {
		objects = append(objects, storetest.Indicator(n, 0))
	}
	const rare = `{"type":"file","spec_version":"2.1","id":"file--00000000-0000-4000-8000-000000000001","name":"rare"}`
	record := func(objects ...string) {
		if _, err := s.Record(t.Context(), storetest.Admit(t, storetest.Member("bank"), storetest.Target(), objects...)); err != nil {
			t.Fatal(err)
		}
	}
	record(objects...)
	record(rare)
	found, err := s.Scan(t.Context(), store.Scan{Collection: storetest.Target().Collection, Most: 1, Types: []string{"malware", "file"}})
	if err != nil || len(found.Rows) != 1 || found.Rows[0].Type != "file" || found.More {
		t.Errorf("Scan = %d rows, more %v, %v, want the one", len(found.Rows), found.More, err)
	}
}
