// Package storetest is the conformance suite that every store must pass.
package storetest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin"
	"tocsin/internal/authorize"
	"tocsin/internal/minimize"
	"tocsin/internal/store"
	"tocsin/internal/validate"
	"tocsin/internal/view"
	"tocsin/tlp"
)

// A Place is where a store keeps its state.
type Place struct {
	// Open opens the store that lies there; it is called again after Close.
	Open func(t *testing.T) store.Store
	// VerifierKey checks what the store's ledger signs.
	VerifierKey string
}

// Run tests a store. place makes an empty place for one.
func Run(t *testing.T, place func(t *testing.T) Place) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, Place){
		"PositionsAreGaplessAndDateAddedGrows": orderIsTotal,
		"ConcurrentSubmissionsLoseNothing":     concurrentSubmissions,
		"ResumingSeesEverythingOnce":           resuming,
		"BytesAreServedAsTheyCame":             bytesAreKept,
		"SeekFindsThePositionOfATime":          seek,
		"SeekRemembersWhatStaysTrue":           seekAgain,
		"AnswersAreBounded":                    sizes,
		"ScanFilters":                          scanFilters,
		"HeadWakesThoseWhoWait":                heads,
		"RewritesAreCounted":                   rewrites,
		"NULIsACharacterLikeOthers":            nul,
		"DuplicatesAreKnown":                   duplicates,
		"ConflictKeepsTheFirst":                conflicts,
		"ObjectsWithoutVersionsGetDateAdded":   versionless,
		"RevocationIsFinal":                    revocation,
		"SightingsHideWhatTheyAreOf":           hiddenSightings,
		"OnlyTheSharerSharesVersions":          ownership,
		"VersionsAreSortedAndMarkedAsSiblings": versions,
		"AnotherAudienceIsServedToo":           audiences,
		"VersionsOfTheFutureWait":              future,
		"TooManyVersionsOfTheFuture":           crowd,
		"UnsureValuesAreReviewed":              reviewing,
		"AnotherVersionEndsReviews":            superseded(nextVersion("")),
		"RevocationEndsReviews":                superseded(nextVersion(`,"revoked":true`)),
		"WithdrawalEndsReviews":                superseded(withdrawn),
		"ReviewsExpire":                        expiredReviews,
		"LabelsAreShared":                      labels,
		"WithdrawnObjectsLeaveTombstones":      tombstones,
		"ContentIsFoundWhereverItIs":           find,
		"ObjectsAreWithdrawnTogether":          together,
		"SightingsAreFoundInTheirCommunity":    sightings,
		"DefinitionsNameTheirOwner":            definitions,
		"StrangersFindNothing":                 strangers,
		"SubmissionsAreRemembered":             submissions,
		"ReceiptsVerifyForever":                receipts,
		"LedgerOnlyGrows":                      ledgerGrows,
		"ReadsAreOnTheLedger":                  disclosures,
		"AgentsSayWhatIsInForce":               deployments,
		"ManyAgentsConfirmAtOnce":              manyAgents,
		"DirectoryIsKept":                      directory,
		"ClosedStoresRefuse":                   closed,
		"CanceledCallersDoNotWait":             canceled,
	} {
		t.Run(name, func(t *testing.T) { test(t, place(t)) })
	}
}

// The cast of the suite.
const (
	community  = "finance"
	collection = "5f3e4a4e-8a61-4a8e-9f10-0f2f6c1d2e3f"
	other      = "0b8f7d62-9f1e-4b56-8c2a-3d4e5f607182"
)

// Member returns a member of a community who may share and read.
func Member(organization string) tocsin.Member {
	return tocsin.Member{
		Organization: tocsin.Organization{Name: organization, Kind: "company"}, User: "ada", Purpose: "cybersecurity",
		Roles: map[string]tocsin.Role{community: tocsin.Writer, "energy": tocsin.Writer},
	}
}

// Target returns where the suite's submissions go.
func Target() authorize.Target {
	return authorize.Target{Community: community, Collection: collection, Default: tlp.Green}
}

// Indicator returns indicator number n as STIX, in the version that was made so
// many seconds after the first one.
func Indicator(n, version int, more ...string) string {
	extra := strings.Join(more, "")
	return fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":%q,"created":"2026-01-01T00:00:00.000Z","modified":%q,`+
		`"pattern":"[ipv4-addr:value = '198.51.100.%d']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z"%s}`,
		IndicatorID(n), versionOf(version), n%256, extra)
}

// IndicatorID returns the id of indicator number n.
func IndicatorID(n int) string { return id("indicator", n) }

func versionOf(seconds int) string {
	return time.Date(2026, 1, 1, 0, 0, seconds, 0, time.UTC).Format("2006-01-02T15:04:05.000Z")
}

func id(kind string, n int) string { return fmt.Sprintf("%s--%08x-0000-4000-8000-%012x", kind, n, n) }

// newGate returns the privacy gate that all of the suite's objects pass.
//
//nolint:gochecknoglobals // immutable once made: reading its rules takes longer than a test
var newGate = sync.OnceValues(func() (*minimize.Gate, error) {
	return minimize.New(minimize.Options{Secret: []byte("a secret that only tests know")})
})

// Admit takes objects through all that comes before a store.
func Admit(t testing.TB, who tocsin.Member, to authorize.Target, objects ...string) authorize.Admitted {
	t.Helper()
	text := `{"objects":[` + strings.Join(objects, ",") + `]}`
	valid, err := validate.Parse([]byte(text), validate.Options{Bytes: 64 << 20})
	if err != nil {
		t.Fatalf("validate: %v", err)
	}
	if r := valid.Rejected(); len(r) > 0 {
		t.Fatalf("the suite's object %s is not valid: %+v", r[0].At, r[0].Problems)
	}
	gate, err := newGate()
	if err != nil {
		t.Fatalf("minimize: %v", err)
	}
	admitted, err := authorize.NewPolicy().Admit(who, to, gate.Apply(valid), time.Now())
	if err != nil {
		t.Fatalf("authorize: %v", err)
	}
	return admitted
}

// share records objects of an organization in the suite's collection.
func share(t testing.TB, s store.Store, organization string, objects ...string) store.Recorded {
	t.Helper()
	return record(t, s, Admit(t, Member(organization), Target(), objects...))
}

func record(t testing.TB, s store.Store, a authorize.Admitted) store.Recorded {
	t.Helper()
	r, err := s.Record(context.Background(), a)
	if err != nil {
		t.Fatalf("Record: %v", err)
	}
	return r
}

// scan returns all rows of a collection, read in pages.
func scan(t testing.TB, s store.Store, collection string, page int) []view.Sealed {
	t.Helper()
	var all []view.Sealed
	after := int64(0)
	for {
		got, err := s.Scan(context.Background(), store.Scan{Collection: collection, After: after, Most: page})
		if err != nil {
			t.Fatalf("Scan: %v", err)
		}
		if len(got.Rows) > page {
			t.Fatalf("Scan returned %d rows, more than %d", len(got.Rows), page)
		}
		all = append(all, got.Rows...)
		if !got.More {
			return all
		}
		if got.Next <= after {
			t.Fatalf("Scan after %d does not move on", after)
		}
		after = got.Next
	}
}

// raw returns the content of a row as its owner sees it.
func raw(t testing.TB, o view.Sealed) string {
	t.Helper()
	reader, err := authorize.NewPolicy().Reader(Member(o.Label.Owner), o.Label.Community)
	if err != nil {
		t.Fatal(err)
	}
	object, ok := o.Render(reader)
	if !ok {
		t.Fatalf("the owner may not see object %d", o.Seq)
	}
	return string(object.Raw())
}

func seqs(rows []view.Sealed) []int64 {
	out := []int64{}
	for _, r := range rows {
		out = append(out, r.Seq)
	}
	return out
}

func open(t *testing.T, p Place) store.Store {
	t.Helper()
	s := p.Open(t)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func reopen(t *testing.T, s store.Store, p Place) store.Store {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	return open(t, p)
}
