package hub

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tocsin/internal/store/postgres"
	"tocsin/internal/store/postgres/pgtest"
	"tocsin/internal/store/storetest"
)

var (
	moveFrom  = flag.String("move.from", "", "move this hub (used by TestMoveKilled itself)")
	moveTo    = flag.String("move.to", "", "to here")
	moveKeys  = flag.String("move.keys", "", "with the keys here")
	moveKills = flag.Int("move.kills", 6, "how often TestMoveKilled kills each of its moves")
)

// TestMoveUntilKilled is the process that TestMoveKilled kills.
func TestMoveUntilKilled(t *testing.T) {
	if *moveFrom == "" {
		t.Skip("only of use to TestMoveKilled")
	}
	fmt.Fprintln(os.Stdout, "begun")
	if _, err := MoveHub(t.Context(), MoveOptions{From: *moveFrom, To: *moveTo, Keys: *moveKeys, Again: true}); err != nil {
		fmt.Fprintln(os.Stdout, err)
		t.Fatal(err)
	}
	fmt.Fprintln(os.Stdout, "moved")
}

// A home is where a hub may live.
type home struct{ data, db string }

func (h home) where() string {
	if h.db != "" {
		return h.db
	}
	return h.data
}

// open opens the hub that lives there as a start would, if one does at all: an
// empty place would become another hub.
func (h home) open(t *testing.T) (*hub, error) {
	t.Helper()
	if h.db != "" {
		db, err := postgres.ConnectToMove(t.Context(), h.db)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if sealed, err := db.Sealed(t.Context()); err != nil || sealed == nil {
			return nil, errors.Join(err, errors.New("no hub is here"))
		}
	} else if _, err := os.Stat(filepath.Join(h.data, identityFile)); err != nil {
		return nil, err
	}
	return open(t.Context(), Options{Data: h.data, DB: h.db})
}

// state is where the ledger and the order stand, "" when no hub may run here.
func (h home) state(t *testing.T) string {
	t.Helper()
	one, err := h.open(t)
	if err != nil {
		return ""
	}
	checkpoint, err := one.store.Checkpoint(t.Context())
	head, _ := one.store.Head("")
	if err := errors.Join(err, one.store.Close()); err != nil {
		t.Error(err)
	}
	return fmt.Sprintf("%d %x %s", head, one.identity.Secret, checkpoint)
}

// newHome makes a hub with some thousands of objects.
func newHome(t *testing.T, objects int) home {
	t.Helper()
	h := home{data: filepath.Join(t.TempDir(), "hub")}
	one, err := open(t.Context(), Options{Data: h.data})
	if err != nil {
		t.Fatal(err)
	}
	const each = 250
	for n := 0; n < objects; n += each {
		all := make([]string, each)
		for i := range all {
			all[i] = storetest.Indicator(n+i, 0)
		}
		if _, err := one.store.Record(t.Context(), storetest.Admit(t, storetest.Member("bank"), storetest.Target(), all...)); err != nil {
			t.Fatal(err)
		}
	}
	if err := one.store.Close(); err != nil {
		t.Fatal(err)
	}
	return h
}

// TestMoveKilled moves a hub from place to place, and kills each of the moves
// again and again, at random moments. At none of them can the hub run at both
// places, and at the end it is what it was. More kills: -args -move.kills=100.
func TestMoveKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	server := pgtest.Start(t)
	at := newHome(t, 6000)
	want := at.state(t)
	keys := t.TempDir() // where hub.key is
	most, kills := time.Duration(0), 0
	for i, next := range []home{
		{data: filepath.Join(t.TempDir(), "folder")}, // measures how long it takes
		{data: filepath.Join(t.TempDir(), "folder")},
		{data: keys, db: server.Database(t)},
		{data: keys, db: server.Database(t)},
		{data: filepath.Join(t.TempDir(), "folder")},
	} {
		began := time.Now()
		killed, resumed := 0, 0
		for moved := false; !moved; {
			after := time.Hour // let it end
			if killed < *moveKills && most > 0 {
				after = time.Duration(random(t, most))
			}
			moved = moveAndKill(t, at, next, keys, after)
			source, target := at.state(t), next.state(t)
			moved = moved || source == "" && target == want // killed after its last step, before it said so
			if !moved {
				killed++
			}
			switch {
			case source != "" && target != "":
				t.Fatalf("move %d: after %d kills the hub can run at both places", i, killed)
			case moved && target != want:
				t.Fatalf("move %d: the hub is another one: %q, want %q", i, target, want)
			case source != "" && source != want:
				t.Fatalf("move %d: after %d kills the source is another one: %q, want %q", i, killed, source, want)
			case source == "" && !moved: // only the end is left to do
				resumed++
			}
		}
		t.Logf("move %d: killed %d times, %d of them between the source's end and the target's beginning; %v", i, killed, resumed, time.Since(began).Round(time.Millisecond))
		at, kills = next, kills+killed
		if most == 0 {
			most = time.Since(began) // with the start of the process, so some end before they are killed
		}
	}
	if kills == 0 {
		t.Error("no move was killed: the test tests nothing")
	}
}

func random(t *testing.T, below time.Duration) int64 {
	t.Helper()
	n, err := rand.Int(rand.Reader, big.NewInt(int64(below)))
	if err != nil {
		t.Fatal(err)
	}
	return n.Int64()
}

// moveAndKill moves a hub in a process of its own and kills that some time after
// it has begun. It reports whether the move ended before.
func moveAndKill(t *testing.T, from, to home, keys string, after time.Duration) (moved bool) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), self, "-test.run=^TestMoveUntilKilled$", "-move.from="+from.where(), "-move.to="+to.where(), "-move.keys="+keys)
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	var said []string
	var timer *time.Timer
	for lines.Scan() {
		said = append(said, lines.Text())
		switch lines.Text() {
		case "begun":
			timer = time.AfterFunc(after, func() { _ = child.Process.Kill() })
		case "moved":
			moved = true
		}
	}
	if timer == nil {
		t.Fatalf("the mover never began: %v", child.Wait())
	}
	ended := !timer.Stop()
	if err := child.Wait(); err != nil && !ended {
		t.Fatalf("the move failed: %v: %s", err, strings.Join(said, "; "))
	}
	return moved
}

// TestMoveRefuses what would put a hub where another one is, or that has none.
func TestMoveRefuses(t *testing.T) {
	ctx := context.Background()
	at, other := newHome(t, 250), newHome(t, 250)
	empty := t.TempDir()
	keyed := t.TempDir()
	if err := os.WriteFile(filepath.Join(keyed, "ledger.key"), []byte("a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		o    MoveOptions
		want string
	}{
		"nothing to move":         {MoveOptions{From: empty, To: filepath.Join(empty, "to")}, "no hub lives in the folder"},
		"no folder":               {MoveOptions{From: filepath.Join(empty, "none"), To: filepath.Join(empty, "to")}, "cannot be opened"},
		"to itself":               {MoveOptions{From: at.data, To: at.data}, "same folder"},
		"onto another hub":        {MoveOptions{From: at.data, To: other.data}, "not empty"},
		"again onto another":      {MoveOptions{From: at.data, To: other.data, Again: true}, "not empty"},
		"beside another key":      {MoveOptions{From: at.data, To: keyed}, "not empty"},
		"a database that is none": {MoveOptions{From: at.data, To: "postgres://tocsin:s3cret@127.0.0.1:1/none?connect_timeout=1", Keys: empty}, "cannot be used"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := MoveHub(ctx, tt.o)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("MoveHub = %v, want %q", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the error tells the password: %v", err)
			}
		})
	}
	if key, err := os.ReadFile(filepath.Join(keyed, "ledger.key")); err != nil || !bytes.Equal(key, []byte("a key")) {
		t.Errorf("the other hub's key is %q, %v", key, err)
	}
	if at.state(t) == "" || other.state(t) == "" {
		t.Error("a hub cannot run any more after a move that was refused")
	}
	running, err := at.open(t)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := MoveHub(ctx, MoveOptions{From: at.data, To: filepath.Join(empty, "to")}); err == nil || !strings.Contains(err.Error(), "a hub runs on the data folder") {
		t.Errorf("MoveHub while it runs = %v", err)
	}
	if err := running.store.Close(); err != nil {
		t.Fatal(err)
	}
}
