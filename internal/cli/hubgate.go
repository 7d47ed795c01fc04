package cli

import (
	"context"
	"errors"
	"fmt"

	"tocsin"
	"tocsin/internal/hubclient"
	"tocsin/internal/minimize"
)

// A hubGate is what the hub's privacy gate would do with what leaves. The gate
// here always runs by the rules of whoever runs it: a hub must not be able to have
// more leave by sending others.
type hubGate struct {
	Rules    string             `json:"rules"`    // hash, as the receipt will name it
	Same     bool               `json:"same"`     // as the rules here
	Findings []minimize.Finding `json:"findings"` // what it would remove besides
	Review   []minimize.Review  `json:"review"`   // what it would mask or withhold for a curator
	Unknown  bool               `json:"unknown,omitempty"`
}

// hubGate asks by which rules the hub works in a community, and tries them on
// what is to leave, when they are not those that it has been through. It returns
// nil when the hub does not tell.
func (a *app) hubGate(ctx context.Context, h *hubclient.Client, o submitFlags, creator string, out gated) (*hubGate, error) {
	rules, err := h.Rules(ctx, o.community)
	if e, ok := errors.AsType[*tocsin.Error](err); ok && e.Kind == tocsin.NotFound { // an older hub
		return nil, nil //nolint:nilnil // nothing to show
	}
	if err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	g := &hubGate{Rules: rules.Hash, Same: rules.Hash == out.rules, Findings: []minimize.Finding{}, Review: []minimize.Review{}}
	if g.Same || len(out.objects) == 0 {
		return g, nil
	}
	dir, err := a.configDir(o.configDir)
	if err != nil {
		return nil, err
	}
	secret, err := loadSecret(secretFile(dir))
	if err != nil {
		return nil, err
	}
	gate, err := minimize.New(minimize.Options{Secret: secret, Creator: creator, Rules: []byte(rules.Text)})
	if err != nil || gate.Rules() != rules.Hash {
		g.Unknown = true // another version of the program, with other detectors
		return g, nil    //nolint:nilerr // the preview says so
	}
	raw := make([][]byte, len(out.objects))
	for i, object := range out.objects {
		raw[i] = object.Raw()
	}
	again, err := pass(gate, raw)
	if err != nil {
		return nil, err
	}
	g.Findings, g.Review = notNil(again.findings), notNil(again.reviews)
	return g, nil
}

// showHubGate says whether the hub does more than was done here.
func (a *app) showHubGate(r *shared) {
	g := r.Hub
	switch {
	case g == nil:
		return
	case g.Same:
		a.say("\n  The hub works by the same rules, %s.", short(g.Rules))
		return
	case g.Unknown:
		a.say("\n%s the rules of %s at the hub, %s, are not yours, and this version of the program cannot try them:", a.out(yellow, "!"), safe(r.Community), short(g.Rules))
		a.say("  the hub may remove more than is shown here.")
		return
	}
	a.say("\n%s", a.out(bold, fmt.Sprintf("The rules of %s at the hub, %s, are not those here, %s. Then it removes: %s",
		safe(r.Community), short(g.Rules), short(r.Rules), orElse(removedInShort(g.Findings), "nothing more"))))
	const most = 5
	for i, f := range g.Findings {
		if i == most {
			a.say("  … and %s more", grouped(len(g.Findings)-most))
			break
		}
		a.say("  %s %s", safe(f.Object), safe(f.At))
		a.say("    %s", a.out(faint, safe(f.Class+" "+f.Action+": "+f.Why)))
	}
	if n := len(g.Review); n > 0 {
		a.say("  %s: a curator of %s will look", count(n, "value"), safe(r.Community))
	}
}

// short returns the beginning of a hash, for people.
func short(hash string) string {
	const most = len("sha256:") + 12
	return hash[:min(len(hash), most)]
}
