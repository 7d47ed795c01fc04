package agent

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tocsin/internal/distribute"
	"tocsin/internal/hub/hubtest"
)

// within runs a function in the namespace: what it opens there stays there.
func (n *namespace) within(f func() error) error {
	ended := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlock it: the thread ends with the goroutine
		ended <- func() error {
			space, err := os.Open("/proc/" + n.pid + "/ns/net")
			if err != nil {
				return err
			}
			defer space.Close()
			if err := unix.Setns(int(space.Fd()), unix.CLONE_NEWNET); err != nil {
				return err
			}
			return f()
		}()
	}()
	return <-ended
}

// dial connects within the namespace.
func (n *namespace) dial(ctx context.Context, to netip.AddrPort, most time.Duration) (c net.Conn, err error) {
	err = n.within(func() error {
		c, err = (&net.Dialer{Timeout: most}).DialContext(ctx, "tcp", to.String())
		return err
	})
	return c, err
}

// echo has a server at each address send back what it gets.
func (n *namespace) echo(addresses []netip.AddrPort) {
	n.t.Helper()
	for _, a := range addresses {
		var l net.Listener
		if err := n.within(func() (err error) {
			l, err = (&net.ListenConfig{}).Listen(n.t.Context(), "tcp", a.String())
			return err
		}); err != nil {
			n.t.Fatal(err)
		}
		n.t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					_, _ = io.Copy(c, c)
					_ = c.Close()
				}()
			}
		}()
	}
}

// A pinger sends a byte and waits for its echo, again and again.
type pinger struct {
	last atomic.Int64 // when the last echo came, in nanoseconds since 1970
}

func (p *pinger) at() time.Time { return time.Unix(0, p.last.Load()) }

// run pings until the connection is closed. It never gives up on an echo: what
// TCP lost it sends again.
func (p *pinger) run(c net.Conn) {
	b := []byte{1}
	for {
		if _, err := c.Write(b); err != nil {
			return
		}
		if _, err := io.ReadFull(c, b); err != nil {
			return
		}
		p.last.Store(time.Now().UnixNano())
		time.Sleep(time.Millisecond)
	}
}

// TestOneMembersFindingStopsTheConnectionOfAnother has real connections, in a
// network of their own, stopped by what another member submits, and let through
// by its retraction. It logs how long that took; the limits are generous.
func TestOneMembersFindingStopsTheConnectionOfAnother(t *testing.T) {
	n := newNamespace(t)
	const rounds = 10
	var addresses []netip.AddrPort
	var setup strings.Builder
	setup.WriteString("ip link set lo up && ip addr add 192.0.2.250/32 dev lo && ip -6 addr add 2001:db8::250/128 dev lo nodad")
	for i := range rounds {
		a := netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)})
		if i%2 == 1 {
			a = netip.MustParseAddr(fmt.Sprintf("2001:db8::%d", i+1))
		}
		addresses = append(addresses, netip.AddrPortFrom(a, 7))
		fmt.Fprintf(&setup, " && ip addr add %s/%d dev lo nodad", a, a.BitLen())
	}
	bystander := netip.MustParseAddrPort("192.0.2.250:7")
	if out, err := n.command(t.Context(), "sh", "-c", setup.String()).CombinedOutput(); err != nil {
		t.Skipf("addresses cannot be added here: %v: %.200s", err, out)
	}
	n.echo(append([]netip.AddrPort{bystander}, addresses...))

	p, as := realHub(t)
	r := startAt(t, as(hubtest.Colleague), Options{Nft: true, nft: n.nft})
	eventually(t, "the agent listens", func() bool { return len(r.obs.all(Connected)) == 1 })
	finder := as(hubtest.Writer)
	who, err := p.Directory.Authenticate(t.Context(), p.Tokens[hubtest.Writer])
	if err != nil {
		t.Fatal(err)
	}
	var stopped, through []time.Duration
	for i, to := range addresses {
		c, err := n.dial(t.Context(), to, time.Second)
		if err != nil {
			t.Fatalf("%s does not connect though nothing was shared: %v", to, err)
		}
		ping := &pinger{}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			ping.run(c)
		}()
		eventually(t, "it answers", func() bool { return ping.last.Load() > 0 })

		object := func(day int, more ...string) string {
			kind := map[bool]string{true: "ipv4-addr", false: "ipv6-addr"}[to.Addr().Is4()]
			return indicatorOf(100+i, day, fmt.Sprintf("[%s:value = '%s']", kind, to.Addr()), more...)
		}
		submit := func(object string) {
			t.Helper()
			if _, err := finder.Submit(t.Context(), "finance", "indicators", []byte(hubtest.Envelope(object)), nil); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		submit(object(1))
		eventually(t, "the connection is stopped", func() bool { return time.Since(ping.at()) > 300*time.Millisecond })
		stopped = append(stopped, ping.at().Sub(began))
		if c, err := n.dial(t.Context(), to, 200*time.Millisecond); err == nil {
			_ = c.Close()
			t.Errorf("%s connects though it is blocked", to)
		}
		if c, err := n.dial(t.Context(), bystander, time.Second); err != nil {
			t.Errorf("what nobody shared does not connect: %v", err)
		} else {
			_ = c.Close()
		}

		began = time.Now()
		if i%3 == 2 { // its owner deletes it; else a new version says that it was a mistake
			if _, err := p.Withdrawer.Withdraw(t.Context(), who, "finance", "indicators", indicatorID(100+i), distribute.Which{All: true}); err != nil {
				t.Fatal(err)
			}
		} else {
			submit(object(2, `"revoked":true`))
		}
		eventually(t, "it connects again", func() bool {
			again, err := n.dial(t.Context(), to, 20*time.Millisecond)
			if err != nil {
				return false
			}
			through = append(through, time.Since(began))
			return again.Close() == nil
		})
		_ = c.Close()
		<-ended
	}
	slices.Sort(stopped)
	slices.Sort(through)
	t.Logf("from before the submission until the last byte came through: median %v, longest %v", stopped[rounds/2].Round(time.Millisecond), stopped[rounds-1].Round(time.Millisecond))
	t.Logf("from before the retraction until it connects: median %v, longest %v", through[rounds/2].Round(time.Millisecond), through[rounds-1].Round(time.Millisecond))
}
