package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tocsin/receipt"
)

// killNetwork is a bank that shares and a reader of the same community.
const killNetwork = `{
 "organizations": [
  {"name": "bank", "kind": "company", "users": [{"name": "u", "tokens": [{"name": "t"}]}]},
  {"name": "utility", "kind": "company", "users": [{"name": "u", "tokens": [{"name": "t"}]}]}],
 "communities": [{"name": "finance", "members": [{"organization": "bank", "role": "writer"}, {"organization": "utility", "role": "reader"}],
  "collections": [{"alias": "alerts"}]}]}`

// A victim is a hub that is killed again and again.
type victim struct {
	t        *testing.T
	data     string
	db       string // address of a database; "" for the data folder
	url      string
	key      string
	process  *exec.Cmd
	operator string
}

var (
	hubAddress = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)
	hubToken   = regexp.MustCompile(`tcs_[a-z0-9]+_[a-z0-9]+`)
	hubKey     = regexp.MustCompile(`\S+\+[0-9a-f]{8}\+\S+`)
)

// start runs the real program and reads from its output where it listens.
func (v *victim) start() {
	v.t.Helper()
	v.process = exec.Command(filepath.Join(folder, "tocsin"), "serve", "--data", v.data, "--listen", "127.0.0.1:0")
	v.process.Env = append(os.Environ(), "TOCSIN_DB="+v.db)
	out, err := v.process.StdoutPipe()
	if err != nil {
		v.t.Fatal(err)
	}
	v.process.Stderr = v.process.Stdout
	if err := v.process.Start(); err != nil {
		v.t.Fatal(err)
	}
	var text []byte
	chunk := make([]byte, 4096)
	v.url, v.key = "", ""
	for v.url == "" || v.key == "" {
		n, err := out.Read(chunk)
		text = append(text, chunk[:n]...)
		if err != nil {
			v.t.Fatalf("serve ended: %s", text)
		}
		v.url, v.key = hubAddress.FindString(string(text)), hubKey.FindString(string(text))
		if token := hubToken.FindString(string(text)); token != "" && v.operator == "" {
			v.operator = token
		}
	}
	if v.operator == "" { // the token comes a little later than the address
		for v.operator == "" {
			n, err := out.Read(chunk)
			if err != nil {
				v.t.Fatalf("serve ended: %s", text)
			}
			text = append(text, chunk[:n]...)
			v.operator = hubToken.FindString(string(text))
		}
	}
	go func() { _, _ = io.Copy(io.Discard, out) }() // ends with the process
}

// kill is kill -9: the process gets no chance to do anything.
func (v *victim) kill() {
	_ = v.process.Process.Kill()
	_ = v.process.Wait()
}

// ask calls the hub. A hub that was killed answers with status 0.
func (v *victim) ask(method, path, token, contentType string, body []byte) (int, []byte) {
	r, err := http.NewRequestWithContext(v.t.Context(), method, v.url+path, bytes.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	answer, err := http.DefaultTransport.RoundTrip(r) //nolint:forbidigo // a test that talks to its own hub
	if err != nil {
		return 0, nil
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, nil
	}
	return answer.StatusCode, text
}

// acknowledged is what the hub has promised to keep.
type acknowledged struct {
	sync.Mutex

	objects     map[string]bool
	submissions []string
}

// TestNothingAcknowledgedIsLostByKilling kills the hub at random moments while
// four clients submit, and looks after each restart whether all that was
// acknowledged is there, once, and whether the ledger only ever grew.
// TOCSIN_KILLS sets how often; 6 when it is not set.
func TestNothingAcknowledgedIsLostByKilling(t *testing.T) {
	kills := 6
	//nolint:forbidigo // how long a test runs is the environment's business
	if n, err := strconv.Atoi(os.Getenv("TOCSIN_KILLS")); err == nil && n > 0 {
		kills = n
	}
	v := &victim{t: t, data: filepath.Join(t.TempDir(), "data")}
	v.start()
	t.Cleanup(func() { v.kill() })
	status, answer := v.ask("POST", "/api/v1/network", v.operator, "application/json", []byte(killNetwork))
	if status != http.StatusOK {
		t.Fatalf("POST network = %d %s", status, answer)
	}
	tokens := hubToken.FindAllString(string(answer), -1)
	if len(tokens) != 2 {
		t.Fatalf("POST network made %d tokens, want 2", len(tokens))
	}
	acked := &acknowledged{objects: map[string]bool{}}
	var serial atomic.Int64
	var older receipt.Checkpoint
	rng := rand.New(rand.NewPCG(20261101, uint64(kills)))
	sent := 0
	for range kills {
		ctx, stop := context.WithCancel(t.Context())
		var writers sync.WaitGroup
		for range 4 {
			writers.Go(func() { v.write(ctx, tokens[0], &serial, acked) })
		}
		time.Sleep(time.Duration(30+rng.IntN(500)) * time.Millisecond)
		v.kill()
		stop()
		writers.Wait()
		v.start()
		older = v.check(tokens, acked, older)
		sent = int(serial.Load())
	}
	t.Logf("%d kills, %d objects sent, %d acknowledged: all of them there, once; ledger of %d entries", kills, sent, len(acked.objects), older.Size)
	if len(acked.objects) == 0 {
		t.Error("nothing was acknowledged: the test shows nothing")
	}
}

// write submits until the hub is gone.
func (v *victim) write(ctx context.Context, token string, serial *atomic.Int64, acked *acknowledged) {
	for ctx.Err() == nil {
		ids := make([]string, 50)
		objects := make([]string, len(ids))
		for i := range ids {
			ids[i] = fmt.Sprintf("indicator--00000000-0000-4000-8000-%012x", serial.Add(1))
			objects[i] = fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":%q,"created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z",`+
				`"pattern":"[ipv4-addr:value = '192.0.2.1']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z"}`, ids[i])
		}
		status, answer := v.ask("POST", "/finance/collections/alerts/objects/", token, "application/taxii+json;version=2.1",
			[]byte(`{"objects":[`+strings.Join(objects, ",")+`]}`))
		if status != http.StatusAccepted {
			if status != 0 {
				v.t.Errorf("POST = %d %s", status, answer)
			}
			return
		}
		var s struct {
			ID      string `json:"id"`
			Success int    `json:"success_count"`
		}
		if err := json.Unmarshal(answer, &s); err != nil || s.Success != len(ids) {
			v.t.Errorf("POST answered %s, %v, want %d successes", answer, err, len(ids))
			return
		}
		acked.Lock()
		for _, id := range ids {
			acked.objects[id] = true
		}
		acked.submissions = append(acked.submissions, s.ID)
		acked.Unlock()
	}
}

// check reads everything back as the other member, and checks the ledger.
func (v *victim) check(tokens []string, acked *acknowledged, older receipt.Checkpoint) receipt.Checkpoint {
	seen := map[string]int{}
	for next := ""; ; {
		status, answer := v.ask("GET", "/finance/collections/alerts/objects/?match[version]=all&limit=1000"+next, tokens[1], "", nil)
		var page struct {
			More    bool   `json:"more"`
			Next    string `json:"next"`
			Objects []struct {
				ID string `json:"id"`
			} `json:"objects"`
		}
		if err := json.Unmarshal(answer, &page); err != nil || status != http.StatusOK {
			v.t.Fatalf("GET objects = %d, %v", status, err)
		}
		for _, o := range page.Objects {
			seen[o.ID]++
		}
		if !page.More {
			break
		}
		next = "&next=" + page.Next
	}
	for id := range acked.objects {
		if seen[id] == 0 {
			v.t.Errorf("%s was acknowledged and is lost", id)
		}
	}
	for id, n := range seen {
		if n > 1 {
			v.t.Errorf("%s is there %d times", id, n)
		}
	}
	return v.ledger(tokens[0], acked, older)
}

// ledger checks the signed checkpoint against the tree that the tiles hold,
// that the tree of before is a part of it, and the newest receipts.
func (v *victim) ledger(token string, acked *acknowledged, older receipt.Checkpoint) receipt.Checkpoint {
	_, signed := v.ask("GET", "/log/checkpoint", token, "", nil)
	now, err := receipt.OpenCheckpoint(signed, v.key)
	if err != nil {
		v.t.Fatalf("checkpoint: %v", err)
	}
	leaves := make([][sha256.Size]byte, 0, now.Size)
	for n := int64(0); n*256 < now.Size; n++ {
		path := fmt.Sprintf("/log/tile/0/%03d", n) // up to 256,000 entries
		if width := min(now.Size-n*256, 256); width < 256 {
			path += fmt.Sprintf(".p/%d", width)
		}
		status, tile := v.ask("GET", path, token, "", nil)
		if status != http.StatusOK || len(tile)%sha256.Size != 0 {
			v.t.Fatalf("GET %s = %d, %d bytes", path, status, len(tile))
		}
		for ; len(tile) > 0; tile = tile[sha256.Size:] {
			leaves = append(leaves, [sha256.Size]byte(tile))
		}
	}
	if got := root(leaves); got != [sha256.Size]byte(now.Hash) {
		v.t.Errorf("the tiles' root is %x, the checkpoint's %x", got, now.Hash)
	}
	if older.Size > 0 && (older.Size > now.Size || root(leaves[:older.Size]) != [sha256.Size]byte(older.Hash)) {
		v.t.Errorf("the ledger of %d entries is not a continuation of the one of %d", now.Size, older.Size)
	}
	last := acked.submissions[max(0, len(acked.submissions)-5):]
	for _, id := range last {
		status, text := v.ask("GET", "/api/v1/submissions/"+id+"/receipt", token, "", nil)
		proof, err := receipt.ParseProof(text)
		if err == nil {
			_, err = receipt.Verify(proof, v.key)
		}
		if err != nil {
			v.t.Errorf("receipt of %s = %d, %v", id, status, err)
		}
	}
	return now
}

// root is the Merkle tree hash of RFC 6962 §2.1, straight from its definition
// and so a check on every other implementation.
func root(leaves [][sha256.Size]byte) [sha256.Size]byte {
	switch n := len(leaves); n {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return leaves[0]
	default:
		k := 1
		for k*2 < n {
			k *= 2
		}
		left, right := root(leaves[:k]), root(leaves[k:])
		return sha256.Sum256(append(append([]byte{1}, left[:]...), right[:]...))
	}
}
