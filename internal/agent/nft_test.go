package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/guard"
)

// A namespace is a network of its own, in which the real nft can do no harm.
type namespace struct {
	t   testing.TB
	pid string
}

func newNamespace(t testing.TB) *namespace {
	t.Helper()
	for _, program := range []string{"nft", "unshare", "nsenter", "ip"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("the program %s is not there", program)
		}
	}
	holder := exec.Command("unshare", "-n", "cat") // lasts until its input ends
	input, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = input.Close()
		_ = holder.Wait()
	})
	n := &namespace{t, strconv.Itoa(holder.Process.Pid)}
	// It begins in our network and changes to its own: root is needed for that.
	for range 100 {
		ours, err1 := exec.Command("readlink", "/proc/self/ns/net").Output()
		its, err2 := exec.Command("readlink", "/proc/"+n.pid+"/ns/net").Output()
		if err1 == nil && err2 == nil && string(ours) != string(its) {
			if err := n.run(t.Context(), "add table inet probe"); err != nil {
				t.Skipf("nft does not work in a network of its own: %v", err)
			}
			return n
		}
	}
	t.Skip("this user may not make a network of its own")
	return nil
}

func (n *namespace) command(ctx context.Context, words ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "nsenter", append([]string{"--net=/proc/" + n.pid + "/ns/net"}, words...)...)
}

// nft runs the real program in the namespace.
func (n *namespace) nft(ctx context.Context, script string, args ...string) ([]byte, error) {
	c := n.command(ctx, append([]string{"nft"}, args...)...)
	c.Stdin = strings.NewReader(script)
	out, err := c.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%w: %.300s", err, out)
	}
	return out, nil
}

// make makes a firewall block networks.
func (f *firewall) make(ctx context.Context, networks []netip.Prefix) error {
	f.wanted, f.stale = networks, true
	return f.apply(ctx)
}

func (n *namespace) run(ctx context.Context, script string) error {
	c := n.command(ctx, "nft", "-f", "-")
	c.Stdin = strings.NewReader(script)
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %.300s", err, out)
	}
	return nil
}

// has returns what the table blocks, as the kernel says.
func (n *namespace) has() []netip.Prefix {
	n.t.Helper()
	var all []netip.Prefix
	for _, set := range []string{"blocked4", "blocked6"} {
		out, err := n.command(n.t.Context(), "nft", "-j", "list", "set", "inet", "tocsin", set).Output()
		if err != nil {
			n.t.Fatal(err)
		}
		var answer struct {
			Nftables []struct {
				Set struct{ Elem []json.RawMessage }
			}
		}
		if err := json.Unmarshal(out, &answer); err != nil {
			n.t.Fatal(err)
		}
		for _, object := range answer.Nftables {
			for _, raw := range object.Set.Elem {
				var one string
				var block struct {
					Prefix struct {
						Addr string
						Len  int
					}
				}
				if json.Unmarshal(raw, &one) == nil {
					all = append(all, guard.PrefixOf(one))
				} else if err := json.Unmarshal(raw, &block); err == nil && block.Prefix.Addr != "" {
					all = append(all, netip.PrefixFrom(netip.MustParseAddr(block.Prefix.Addr), block.Prefix.Len))
				} else {
					n.t.Fatalf("the set has %s", raw)
				}
			}
		}
	}
	slices.SortFunc(all, netip.Prefix.Compare)
	return all
}

func networksOf(texts ...string) []netip.Prefix {
	all := []netip.Prefix{}
	for _, t := range texts {
		all = append(all, guard.PrefixOf(t))
	}
	slices.SortFunc(all, netip.Prefix.Compare)
	return all
}

// samePrefixes tells how two lists of networks differ.
func samePrefixes(want, got []netip.Prefix) string {
	text := func(all []netip.Prefix) (texts []string) {
		for _, p := range all {
			texts = append(texts, p.String())
		}
		return texts
	}
	return cmp.Diff(text(want), text(got))
}

func TestTheFirewallBlocksWhatIsListed(t *testing.T) {
	n := newNamespace(t)
	f := &firewall{nft: n.nft}
	for _, step := range []struct {
		what       string
		list, want []netip.Prefix
	}{
		{"nothing", nil, nil},
		{"some", networksOf("192.0.2.1", "198.51.100.0/24", "2001:db8::1", "2001:db8:1::/48"), networksOf("192.0.2.1", "198.51.100.0/24", "2001:db8::1", "2001:db8:1::/48")},
		{"one within another", networksOf("192.0.2.1", "192.0.2.0/24", "192.0.2.128/25", "2001:db8::/32", "2001:db8::1"), networksOf("192.0.2.0/24", "2001:db8::/32")},
		{"the wider one goes", networksOf("192.0.2.1", "192.0.2.128/25", "2001:db8::1"), networksOf("192.0.2.1", "192.0.2.128/25", "2001:db8::1")},
		{"neighbors", networksOf("192.0.2.0/25", "192.0.2.128/25", "192.0.3.0/24", "192.0.4.0", "192.0.4.1"), networksOf("192.0.2.0/25", "192.0.2.128/25", "192.0.3.0/24", "192.0.4.0", "192.0.4.1")},
		{"nothing again", nil, nil},
	} {
		if err := f.make(t.Context(), step.list); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		if diff := samePrefixes(step.want, n.has()); diff != "" {
			t.Errorf("%s: the table (-want +got):\n%s", step.what, diff)
		}
	}
}

func TestTheFirewallDropsPackets(t *testing.T) {
	n := newNamespace(t)
	if err := (&firewall{nft: n.nft}).make(t.Context(), networksOf("192.0.2.1", "2001:db8::1")); err != nil {
		t.Fatal(err)
	}
	// Both addresses are this machine's own: without the table, sending succeeds.
	script := `ip link set lo up && ip addr add 192.0.2.1/32 dev lo && ip addr add 192.0.2.2/32 dev lo && ip -6 addr add 2001:db8::1/128 dev lo && ip -6 addr add 2001:db8::2/128 dev lo
for a in 192.0.2.1 192.0.2.2 2001:db8::1 2001:db8::2; do echo x 2>/dev/null >/dev/udp/$a/9 && echo sent $a || echo dropped $a; done`
	out, err := n.command(t.Context(), "bash", "-c", script).Output()
	if err != nil {
		t.Skipf("addresses cannot be added here: %v", err)
	}
	want := "dropped 192.0.2.1\nsent 192.0.2.2\ndropped 2001:db8::1\nsent 2001:db8::2\n"
	if string(out) != want {
		t.Errorf("packets were\n%swant\n%s", out, want)
	}
}

func TestTheFirewallFollowsEveryChange(t *testing.T) {
	n := newNamespace(t)
	scripts := 0
	f := &firewall{nft: func(ctx context.Context, script string, args ...string) ([]byte, error) {
		if strings.HasPrefix(script, "add table") {
			scripts++
		}
		return n.nft(ctx, script, args...)
	}}
	random := rand.New(rand.NewPCG(3, 4))
	have := map[netip.Prefix]bool{}
	for step := range 40 {
		for range random.IntN(20) {
			var p netip.Prefix
			if random.IntN(3) > 0 {
				p = netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(random.IntN(256))}), 24+random.IntN(9)).Masked()
			} else {
				p = netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, byte(random.IntN(4)), 15: byte(random.IntN(4))}), 32+random.IntN(97)).Masked()
			}
			if have[p] {
				delete(have, p)
			} else {
				have[p] = true
			}
		}
		list := []netip.Prefix{}
		for p := range have {
			list = append(list, p)
		}
		slices.SortFunc(list, netip.Prefix.Compare)
		if err := f.make(t.Context(), list); err != nil {
			t.Fatalf("step %d: %v", step, err)
		}
		if diff := samePrefixes(disjoint(list), n.has()); diff != "" {
			t.Fatalf("step %d: the table (-want +got):\n%s", step, diff)
		}
	}
	if scripts != 1 {
		t.Errorf("the table was made %d times, want once", scripts)
	}
}

func TestATableThatSomebodyTookAwayIsMadeAnew(t *testing.T) {
	n := newNamespace(t)
	f := &firewall{nft: n.nft}
	if err := f.make(t.Context(), networksOf("192.0.2.1")); err != nil {
		t.Fatal(err)
	}
	if err := n.run(t.Context(), "delete table inet tocsin"); err != nil {
		t.Fatal(err)
	}
	if err := f.make(t.Context(), networksOf("192.0.2.1", "192.0.2.2")); err != nil {
		t.Fatal(err)
	}
	if !f.isIntact(t.Context()) {
		t.Error("a table that is as it was made is not taken for such")
	}
	if err := n.run(t.Context(), "delete element inet tocsin blocked4 { 192.0.2.2 }"); err != nil || f.isIntact(t.Context()) {
		t.Errorf("that an element is missing was not noticed (%v)", err)
	}
	if err := n.run(t.Context(), "add element inet tocsin blocked4 { 192.0.2.2 }"); err != nil {
		t.Fatal(err)
	}
	if diff := samePrefixes(networksOf("192.0.2.1", "192.0.2.2"), n.has()); diff != "" {
		t.Errorf("the table (-want +got):\n%s", diff)
	}
	if err := n.run(t.Context(), "delete table inet probe"); err != nil {
		t.Errorf("a table of somebody else was touched: %v", err)
	}
}

func TestALargeListIsOneTransaction(t *testing.T) {
	n := newNamespace(t)
	f := &firewall{nft: n.nft}
	var list []netip.Prefix
	for i := range 50_000 {
		list = append(list, netip.PrefixFrom(netip.AddrFrom4([4]byte{203, byte(i >> 15), byte(i >> 7), byte(i << 1)}), 32))
	}
	for _, l := range [][]netip.Prefix{list[:49_999], list} {
		if err := f.make(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		if got := len(n.has()); got != len(l) {
			t.Errorf("the table blocks %d addresses, want %d", got, len(l))
		}
	}
}

func TestAFirewallThatFailsIsTriedAgain(t *testing.T) {
	var scripts []string
	broken := true
	f := &firewall{nft: func(_ context.Context, script string, _ ...string) ([]byte, error) {
		scripts = append(scripts, script)
		if broken {
			return nil, errors.New("no")
		}
		return nil, nil
	}}
	if err := f.make(t.Context(), networksOf("192.0.2.1")); err == nil {
		t.Error("a transaction that failed was no error")
	}
	broken = false
	for range 2 {
		if err := f.make(t.Context(), networksOf("192.0.2.1")); err != nil {
			t.Error(err)
		}
	}
	if len(scripts) != 2 || !strings.HasPrefix(scripts[1], "add table inet tocsin\ndelete table inet tocsin\n") {
		t.Errorf("the scripts were %q, want the whole table twice", scripts)
	}
}
