package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"tocsin"
	"tocsin/internal/guard"
	"tocsin/internal/match"
)

// A firewall is the nftables table that the agent owns. Others may not write to
// it; it stays when the agent ends, so that a restart leaves no gap. 'nft delete
// table inet tocsin' takes it away.
type firewall struct {
	nft     runNft
	wanted  []netip.Prefix // in order
	stale   bool           // the table does not say what is wanted
	begun   bool           // it was written once
	applied []netip.Prefix // what the table blocks
	known   bool           // whether applied is so
}

// A runNft has the nft program read a script, and returns what it says.
type runNft func(ctx context.Context, script string, args ...string) ([]byte, error)

// nftTime bounds one transaction.
const nftTime = 30 * time.Second

// nftProgram runs the nft program of this machine.
func nftProgram(ctx context.Context, script string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, nftTime)
	defer cancel()
	command := exec.CommandContext(ctx, "nft", args...) //nolint:gosec // the arguments are ours; what others say is in the script, as addresses
	command.Stdin = strings.NewReader(script)
	var said bytes.Buffer
	command.Stderr = &said
	out, err := command.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return nil, &tocsin.Error{Kind: tocsin.Invalid, Message: "the program nft is not there", Hint: "install nftables, or leave the firewall to the lists"}
	}
	if err != nil {
		line, _, _ := strings.Cut(said.String(), "\n")
		return nil, &tocsin.Error{
			Kind: tocsin.Invalid, Message: "nft failed, " + err.Error() + ": " + guard.Printable(line),
			Hint: "the firewall can be changed by root, or with the capability CAP_NET_ADMIN",
		}
	}
	return out, nil
}

// run runs a script as one transaction.
func (f *firewall) run(ctx context.Context, script string) error {
	_, err := f.nft(ctx, script, "-f", "-")
	return err
}

// change notes which values are to be blocked, or no longer.
func (f *firewall) change(added map[match.Value]change, removed []match.Value) {
	f.stale = f.stale || !f.begun
	in, out := networksIn(slices.Collect(maps.Keys(added))), networksIn(removed)
	if len(in)+len(out) == 0 {
		return
	}
	f.stale = true
	gone := make(map[netip.Prefix]bool, len(out))
	for _, p := range out {
		gone[p] = true
	}
	slices.SortFunc(in, netip.Prefix.Compare)
	merged := make([]netip.Prefix, 0, len(f.wanted)+len(in))
	for len(f.wanted) > 0 || len(in) > 0 {
		if len(in) == 0 || len(f.wanted) > 0 && f.wanted[0].Compare(in[0]) < 0 {
			if !gone[f.wanted[0]] {
				merged = append(merged, f.wanted[0])
			}
			f.wanted = f.wanted[1:]
			continue
		}
		merged, in = append(merged, in[0]), in[1:]
	}
	f.wanted = merged
}

// apply makes the table block what is wanted, in one transaction: by what
// changed when it is known what the table has, else anew.
func (f *firewall) apply(ctx context.Context) error {
	wanted := disjoint(f.wanted)
	if f.known {
		if script := difference(f.applied, wanted); script == "" || f.run(ctx, script) == nil {
			f.applied, f.stale = wanted, false
			return nil
		}
		f.known = false // somebody else changed the table, or took it away
	}
	if err := f.run(ctx, whole(wanted)); err != nil {
		return err
	}
	f.applied, f.known, f.stale, f.begun = wanted, true, false, true
	return nil
}

// isIntact reports whether the kernel's sets are as large as they were made.
func (f *firewall) isIntact(ctx context.Context) bool {
	for _, set := range [...]string{"blocked4", "blocked6"} {
		want := 0
		for _, p := range f.applied {
			if p.Addr().Is4() == (set == "blocked4") {
				want++
			}
		}
		out, err := f.nft(ctx, "", "-j", "list", "set", "inet", "tocsin", set)
		if err != nil {
			return false
		}
		var answer struct {
			Nftables []struct {
				Set struct {
					Elem []jsontext.Value `json:"elem"`
				} `json:"set"`
			} `json:"nftables"`
		}
		if err := json.Unmarshal(out, &answer); err != nil {
			return false
		}
		have := 0
		for _, object := range answer.Nftables {
			have += len(object.Set.Elem)
		}
		if have != want {
			return false
		}
	}
	return true
}

// disjoint leaves out networks that are within others: a set of intervals takes
// no overlaps. In order, the wider comes before what is in it.
func disjoint(networks []netip.Prefix) []netip.Prefix {
	kept := make([]netip.Prefix, 0, len(networks))
	for _, p := range networks {
		if n := len(kept); n == 0 || !kept[n-1].Overlaps(p) {
			kept = append(kept, p)
		}
	}
	return kept
}

// whole returns a script that makes the table anew.
func whole(networks []netip.Prefix) string {
	var b strings.Builder
	b.WriteString("add table inet tocsin\ndelete table inet tocsin\ntable inet tocsin {\n")
	for _, set := range [...]struct{ name, kind string }{{"blocked4", "ipv4_addr"}, {"blocked6", "ipv6_addr"}} {
		fmt.Fprintf(&b, "\tset %s {\n\t\ttype %s\n\t\tflags interval\n", set.name, set.kind)
		elements(&b, "\t\telements = ", networks, set.name, "\n")
		b.WriteString("\t}\n")
	}
	for _, hook := range [...]struct{ name, ends string }{{"input", "saddr"}, {"output", "daddr"}, {"forward", "saddr daddr"}} {
		fmt.Fprintf(&b, "\tchain %s {\n\t\ttype filter hook %s priority -10; policy accept;\n", hook.name, hook.name)
		for end := range strings.FieldsSeq(hook.ends) {
			fmt.Fprintf(&b, "\t\tip %s @blocked4 counter drop\n\t\tip6 %s @blocked6 counter drop\n", end, end)
		}
		b.WriteString("\t}\n")
	}
	b.WriteString("}\n")
	return b.String()
}

// difference returns a script that makes the table block one list instead of
// another, "" when they are the same. Both are in order.
func difference(old, anew []netip.Prefix) string {
	var out, in []netip.Prefix
	for len(old) > 0 || len(anew) > 0 {
		switch {
		case len(anew) == 0 || len(old) > 0 && old[0].Compare(anew[0]) < 0:
			out, old = append(out, old[0]), old[1:]
		case len(old) == 0 || old[0].Compare(anew[0]) > 0:
			in, anew = append(in, anew[0]), anew[1:]
		default:
			old, anew = old[1:], anew[1:]
		}
	}
	var b strings.Builder
	for _, set := range [...]string{"blocked4", "blocked6"} {
		elements(&b, "delete element inet tocsin "+set+" ", out, set, "\n")
	}
	for _, set := range [...]string{"blocked4", "blocked6"} {
		elements(&b, "add element inet tocsin "+set+" ", in, set, "\n")
	}
	return b.String()
}

// elements writes the networks of a set's family in braces, with something
// before and after, or nothing when there are none.
func elements(b *strings.Builder, before string, networks []netip.Prefix, set, after string) {
	first := slices.IndexFunc(networks, func(p netip.Prefix) bool { return p.Addr().Is4() == (set == "blocked4") })
	if first < 0 {
		return
	}
	b.WriteString(before)
	between := "{ "
	for _, p := range networks[first:] {
		if p.Addr().Is4() != (set == "blocked4") {
			break
		}
		b.WriteString(between)
		if p.IsSingleIP() {
			b.WriteString(p.Addr().String())
		} else {
			b.WriteString(p.String())
		}
		between = ", "
	}
	b.WriteString(" }")
	b.WriteString(after)
}
