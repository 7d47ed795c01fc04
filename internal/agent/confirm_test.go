package agent

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tocsin/internal/distribute"
	"tocsin/internal/export"
	"tocsin/internal/hub/hubtest"
	"tocsin/internal/hubclient"
)

// told returns what agents confirmed.
func (h *fakeHub) told() (all []hubclient.Confirmation) {
	h.get(func() { all = slices.Clone(h.confirmations) })
	return all
}

// idle returns the objects that are not in force, after all that was told.
func (h *fakeHub) idle() (ids []string) {
	for _, c := range h.told() {
		if c.Anew {
			ids = nil
		}
		ids = slices.DeleteFunc(append(ids, c.Idle...), func(id string) bool { return slices.Contains(c.Busy, id) })
	}
	slices.Sort(ids)
	return ids
}

func TestTheHubIsToldWhatIsInForce(t *testing.T) {
	h := newFakeHub(t)
	h.share(
		indicatorOf(1, 1, "[domain-name:value = 'evil.example']"), indicatorOf(2, 1, "[domain-name:value = 'google.com']"),
		indicatorOf(3, 1, "[file:hashes.MD5 = '0123456789abcdef0123456789abcdef']"), indicatorOf(4, 1, "[domain-name:value = 'over.example']", `"valid_until":"1999-06-01T00:00:00Z"`),
		strings.Replace(indicatorOf(6, 1, "[domain-name:value = 'begins.example']"), "1999-01-01", "2099-01-01", 1),
		indicatorOf(5, 1, "[domain-name:value = 'evil.example' OR domain-name:value = 'google.com']"),
	)
	r := start(t, h.serve(), Options{})
	same := func(ids ...string) func() bool {
		return func() bool { return len(h.told()) > 0 && slices.Equal(h.idle(), ids) }
	}
	eventually(t, "the guard, the formats and the clock keep three from being in force", same(indicatorID(2), indicatorID(3), indicatorID(6)))
	first := h.told()[0]
	if !first.Anew || len(first.Agent) != 36 || first.Cursor == "" || first.FetchedMSAgo < first.DeployedMSAgo || first.DeployedMSAgo < 0 {
		t.Errorf("the first confirmation is %+v, want one anew with an agent, a cursor and times", first)
	}
	h.share(indicatorOf(2, 2, "[domain-name:value = 'other.example']"), indicatorOf(6, 2, "", `"revoked":true`))
	eventually(t, "a version that may be blocked is in force, and what is gone is not idle", same(indicatorID(3)))
	at := h.told()[len(h.told())-1].Cursor
	h.withdraw(indicatorID(5))
	eventually(t, "a withdrawal is confirmed", func() bool { return h.told()[len(h.told())-1].Cursor != at })
	if list := r.list(domainsName); !slices.Equal(list, []string{"evil.example", "other.example"}) {
		t.Errorf("when it was confirmed, %v was blocked", list)
	}
	r.stop()
	before := len(h.told())
	again := start(t, h.serve(), Options{State: r.o.State})
	eventually(t, "it says so again after a restart", func() bool { return len(h.told()) > before && slices.Equal(h.idle(), []string{indicatorID(3)}) })
	if c := h.told()[before]; !c.Anew || c.Agent != first.Agent {
		t.Errorf("after a restart it tells %+v, want all anew, of the same agent", c)
	}
	again.stop()

	log := filepath.Join(t.TempDir(), "log")
	start(t, h.serve(), Options{State: r.o.State, Logs: []string{log}})
	eventually(t, "what is looked for in logs is in force", func() bool { return len(h.idle()) == 0 })
}

func TestNothingIsConfirmedThatADefenseHasNotRead(t *testing.T) {
	h := newFakeHub(t)
	h.share(indicatorOf(1, 1, "[domain-name:value = 'evil.example']"))
	folder := t.TempDir()
	ready := filepath.Join(folder, "ready")
	r := start(t, h.serve(), Options{Exports: []Export{{Format: "hosts", File: filepath.Join(folder, "hosts"), Reload: "test -f " + ready}}})
	eventually(t, "the reload fails", func() bool { return len(r.obs.all(Failed)) > 0 })
	h.share(indicatorOf(2, 1, "[ipv4-addr:value = '192.0.2.1']")) // changes no file that is to be read
	eventually(t, "it is written", func() bool { return len(r.list(ipsName)) == 1 })
	if told := h.told(); len(told) > 0 {
		t.Errorf("%+v was confirmed while a defense had not read its file", told)
	}
	if err := os.WriteFile(ready, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is confirmed when the defense has", func() bool { return len(h.told()) > 0 })
}

func TestConfirmationsWaitForTheHub(t *testing.T) {
	h := newFakeHub(t)
	h.confirmStatus = 503
	h.share(indicatorOf(1, 1, "[domain-name:value = 'google.com']"))
	r := start(t, h.serve(), Options{})
	eventually(t, "that it failed is told", func() bool { return len(r.obs.all(Failed)) > 0 })
	h.get(func() { h.confirmStatus = 0 })
	eventually(t, "nothing is lost", func() bool { return slices.Equal(h.idle(), []string{indicatorID(1)}) })
	if c := h.told()[0]; !c.Anew {
		t.Errorf("the first that the hub took is %+v, want all anew", c)
	}
}

func TestAQuietAgentConfirmsNothing(t *testing.T) {
	h := newFakeHub(t)
	h.share(indicatorOf(1, 1, "[domain-name:value = 'evil.example']"))
	r := start(t, h.serve(), Options{Quiet: true})
	eventually(t, "it is blocked", func() bool { return len(r.blocked()) == 1 && len(r.obs.all(Enforced)) > 0 })
	r.stop()
	if told := h.told(); len(told) > 0 {
		t.Errorf("it told %+v", told)
	}
}

// TestWhatIsTakenBackLeavesEverything has indicators revoked, withdrawn and
// expired, and looks into every export there is, the lists, and at what the hub
// tells the producer.
func TestWhatIsTakenBackLeavesEverything(t *testing.T) {
	p, as := realHub(t)
	folder, log := t.TempDir(), filepath.Join(t.TempDir(), "dns.log")
	var exports []Export
	for _, f := range export.Formats() {
		exports = append(exports, Export{Format: f.Name, File: filepath.Join(folder, f.Name)})
	}
	r := startAt(t, as(hubtest.Colleague), Options{Exports: exports, Logs: []string{log}, First: time.Millisecond, Blocklist: filepath.Join(folder, "all")})
	eventually(t, "the agent listens", func() bool { return len(r.obs.all(Connected)) == 1 })
	finder := as(hubtest.Writer)
	values := []string{"192.0.2.77", "c2-evil.example", "http://drop.example/payload", "0123456789abcdef0123456789abcdef", "192.0.2.78", "mallory@phish.example", "malware-dropper.exe"}
	object := func(n, version int, more ...string) string {
		return indicatorOf(n, version, "[ipv4-addr:value = '"+values[0]+"' OR domain-name:value = '"+values[1]+"' OR url:value = '"+values[2]+"' OR file:hashes.MD5 = '"+values[3]+
			"' OR network-traffic:dst_ref.value = '"+values[4]+"' OR email-addr:value = '"+values[5]+"' OR file:name = '"+values[6]+"']", more...)
	}
	submit := func(object string) {
		t.Helper()
		if made, err := finder.Submit(t.Context(), "finance", "indicators", []byte(hubtest.Envelope(object)), nil); err != nil || len(made.Failures) > 0 {
			t.Fatal(err, made.Failures)
		}
	}
	funnel := func(n int) hubclient.Deployment {
		t.Helper()
		d, err := finder.Deployment(t.Context(), "finance", "indicators", indicatorID(n))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	holding := func() (files []string) {
		for _, dir := range []string{folder, r.o.Lists} {
			entries, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				text := strings.Join(lines(t, filepath.Join(dir, e.Name())), "\n")
				if slices.ContainsFunc(values, func(v string) bool { return strings.Contains(text, v) }) {
					files = append(files, e.Name())
				}
			}
		}
		return files
	}
	ends := map[string]func(n int){
		"revoked": func(n int) { submit(object(n, 2, `"revoked":true`)) },
		"withdrawn": func(n int) {
			who, err := p.Directory.Authenticate(t.Context(), p.Tokens[hubtest.Writer])
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.Withdrawer.Withdraw(t.Context(), who, "finance", "indicators", indicatorID(n), distribute.Which{All: true}); err != nil {
				t.Fatal(err)
			}
		},
		"expired": func(n int) {
			submit(object(n, 2, `"valid_until":"`+time.Now().Add(time.Second).UTC().Format("2006-01-02T15:04:05.000Z")+`"`))
		},
	}
	n := 0
	for _, why := range []string{"revoked", "withdrawn", "expired"} {
		n++
		submit(object(n, 1))
		eventually(t, "the hub knows that it is in force", func() bool { return funnel(n).Deployed.Organizations == 1 })
		if got := holding(); len(got) < 26 { // some formats say the values in forms of their own
			t.Errorf("it is in %d exports and lists: %v", len(got), got)
		}
		appendTo(t, log, `{"query":"c2-evil.example"}`)
		eventually(t, "the hit is there", func() bool { return funnel(n).Hit.Organizations == 1 })
		ends[why](n)
		eventually(t, "the hub knows that nobody has it: "+why, func() bool { d := funnel(n); return d.Why == why && d.Retired.Organizations == 1 && d.Holding == 0 })
		if why != "expired" { // the agent's clock looks once a second, and the hub takes its being alive for it
			if got := holding(); len(got) > 0 {
				t.Errorf("%s: it is still in %v, though the agent confirmed", why, got)
			}
		}
		eventually(t, "it leaves everything", func() bool { return len(holding()) == 0 })
		found := len(r.obs.all(Hit))
		appendTo(t, log, `{"query":"c2-evil.example"}`, `{"query":"end-`+why+`.example"}`)
		time.Sleep(3 * lookEvery)
		if len(r.obs.all(Hit)) != found {
			t.Errorf("%s: it is still looked for", why)
		}
		d := funnel(n)
		t.Logf("%s: deployed after %v ms, retired after %v ms", why, d.Deployed.P50, d.Retired.P50)
	}
	if _, err := as(hubtest.Reader).Deployment(t.Context(), "finance", "indicators", indicatorID(1)); err == nil {
		t.Error("somebody who did not share it sees how far it came")
	}
}
