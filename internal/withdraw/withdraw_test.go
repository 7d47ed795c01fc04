package withdraw_test

import (
	"errors"
	"testing"
	"time"

	"tocsin"
	"tocsin/internal/distribute"
	"tocsin/internal/hub/hubtest"
)

func TestWhoMayWithdrawWhat(t *testing.T) {
	const red = `"object_marking_refs":["marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"]`
	at := func(day int) time.Time { return time.Date(2026, 1, day, 0, 0, 0, 0, time.UTC) }
	for name, tt := range map[string]struct {
		as    string
		red   bool // the second version is for acme and delta only
		which distribute.Which
		want  tocsin.Kind // 0: it is done
		gone  int
	}{
		"the owner":                     {as: hubtest.Writer, which: distribute.Which{All: true}, gone: 2},
		"a curator":                     {as: hubtest.Curator, which: distribute.Which{All: true}, gone: 2},
		"an operator":                   {as: hubtest.Operator, which: distribute.Which{All: true}, gone: 2},
		"another writer":                {as: hubtest.Colleague, which: distribute.Which{All: true}, want: tocsin.Forbidden},
		"a reader":                      {as: hubtest.Reader, which: distribute.Which{All: true}, want: tocsin.Forbidden},
		"a stranger":                    {as: hubtest.Stranger, which: distribute.Which{All: true}, want: tocsin.NotFound},
		"the hub's operator":            {as: hubtest.Hub, which: distribute.Which{All: true}, want: tocsin.NotFound},
		"nothing chosen":                {as: hubtest.Writer, want: tocsin.NotFound},
		"first and last":                {as: hubtest.Writer, which: distribute.Which{First: true, Last: true}, gone: 2},
		"one":                           {as: hubtest.Writer, which: distribute.Which{At: []time.Time{at(2)}}, gone: 1},
		"a curator, what they can see":  {as: hubtest.Curator, red: true, which: distribute.Which{All: true}, gone: 1},
		"a curator, what they cannot":   {as: hubtest.Curator, red: true, which: distribute.Which{At: []time.Time{at(2)}}, want: tocsin.NotFound},
		"the last that a curator sees":  {as: hubtest.Curator, red: true, which: distribute.Which{Last: true}, gone: 1},
		"the last that the owner sees":  {as: hubtest.Writer, red: true, which: distribute.Which{Last: true}, gone: 1},
		"a named recipient is no owner": {as: hubtest.Colleague, red: true, which: distribute.Which{Last: true}, want: tocsin.Forbidden},
	} {
		t.Run(name, func(t *testing.T) {
			p := hubtest.Open(t)
			p.Share(t, hubtest.Writer, nil, hubtest.Indicator(1, 1))
			if tt.red {
				p.Share(t, hubtest.Writer, []string{"delta"}, hubtest.Indicator(1, 2, red))
			} else {
				p.Share(t, hubtest.Writer, nil, hubtest.Indicator(1, 2))
			}
			who, err := p.Directory.Authenticate(t.Context(), p.Tokens[tt.as])
			if err != nil {
				t.Fatal(err)
			}
			gone, err := p.Withdrawer.Withdraw(t.Context(), who, "finance", "indicators", hubtest.ID("indicator", 1), tt.which)
			kind := tocsin.Kind(0)
			if e, ok := errors.AsType[*tocsin.Error](err); ok {
				kind = e.Kind
			}
			if kind != tt.want || gone != tt.gone || (err != nil) != (tt.want != 0) {
				t.Errorf("Withdraw = %d, %v, want %d, kind %d", gone, err, tt.gone, tt.want)
			}
			owner, err := p.Directory.Authenticate(t.Context(), p.Tokens[hubtest.Writer])
			if err != nil {
				t.Fatal(err)
			}
			left, err := p.Feed.Object(t.Context(), owner, "finance", "indicators", hubtest.ID("indicator", 1), distribute.Which{All: true})
			if e, ok := errors.AsType[*tocsin.Error](err); err != nil && (!ok || e.Kind != tocsin.NotFound) {
				t.Fatal(err)
			}
			if len(left) != 2-tt.gone {
				t.Errorf("%d versions are left, want %d", len(left), 2-tt.gone)
			}
		})
	}
}
