package receipt

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// sample is the example of C2SP tlog-proof with its extra data and checkpoint
// replaced: the specification abbreviates them.
const sample = "c2sp.org/tlog-proof@v1\n" +
	"extra e30=\n" +
	"index 73894\n" +
	"gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=\n" +
	"B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=\n" +
	"\n" +
	"example.com/fancylog\n109482\nsFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=\n\n— example.com/fancylog AAAAAAA=\n"

func TestParseProofAcceptsOneSpelling(t *testing.T) {
	p, err := ParseProof([]byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	if string(p.Extra) != "{}" || p.Index != 73894 || len(p.Hashes) != 2 || string(p.Marshal()) != sample {
		t.Errorf("ParseProof(sample) = %+v", p)
	}
	edit := func(old, new string) string {
		if !strings.Contains(sample, old) {
			t.Fatalf("the sample does not contain %q", old)
		}
		return strings.Replace(sample, old, new, 1)
	}
	for name, in := range map[string]string{
		"empty":               "",
		"other version":       edit("@v1", "@v2"),
		"carriage returns":    strings.ReplaceAll(sample, "\n", "\r\n"),
		"empty extra":         edit("e30=", ""),
		"loose base64":        edit("e30=", "e31="),
		"unpadded base64":     edit("e30=", "e30"),
		"base64 with a break": edit("e30=", "e3\r0="),
		"two extras":          edit("extra e30=\n", "extra e30=\nextra e30=\n"),
		"no index":            edit("index 73894\n", ""),
		"leading zero":        edit("73894", "073894"),
		"plus sign":           edit("73894", "+73894"),
		"negative index":      edit("73894", "-1"),
		"index of 2^63":       edit("73894", "9223372036854775808"),
		"short hash":          edit("gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=", "gSKy"),
		"loose hash":          edit("PlQ=", "PlR="),
		"64 hashes":           edit("B95l", strings.Repeat("gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=\n", 62)+"B95l"),
		"no blank line":       edit("XmA=\n\n", "XmA=\n"),
		"no checkpoint":       sample[:strings.Index(sample, "\n\n")+2],
		"too large":           sample + strings.Repeat("x", MaxProofSize),
	} {
		t.Run(name, func(t *testing.T) {
			if p, err := ParseProof([]byte(in)); err == nil {
				t.Errorf("ParseProof = %+v, want an error", p)
			}
		})
	}
}

func TestParseCheckpointAcceptsOneSpelling(t *testing.T) {
	const good = "example.com/log\n2\nnND/nri/U0xuHUrYSy0HtMeal2vzD9V4k/BO79C+QeI=\n"
	if c, err := ParseCheckpoint(good + "an extension\n"); err != nil || len(c.Extensions) != 1 || c.Size != 2 {
		t.Errorf("ParseCheckpoint = %+v, %v", c, err)
	}
	for name, in := range map[string]string{
		"empty":          "",
		"two lines":      "example.com/log\n2\n",
		"no newline":     strings.TrimSuffix(good, "\n"),
		"empty origin":   strings.TrimPrefix(good, "example.com/log"),
		"leading zero":   strings.Replace(good, "\n2\n", "\n02\n", 1),
		"negative":       strings.Replace(good, "\n2\n", "\n-2\n", 1),
		"loose hash":     strings.Replace(good, "QeI=", "QeJ=", 1),
		"empty line":     good + "\nx\n",
		"trailing empty": good + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			if c, err := ParseCheckpoint(in); err == nil {
				t.Errorf("ParseCheckpoint = %+v, want an error", c)
			}
		})
	}
}

func FuzzParseProof(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte("c2sp.org/tlog-proof@v1\nindex 0\n\nx"))
	log := newTestLog(f)
	_, p := log.receiptFor(f, submission())
	f.Add(p.Marshal())
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParseProof(b)
		if err != nil {
			return
		}
		if !bytes.Equal(p.Marshal(), b) {
			t.Errorf("Marshal(ParseProof(%q)) = %q", b, p.Marshal())
		}
		if v, err := Verify(p, log.vkey); err == nil && v.Index() >= v.Checkpoint().Size {
			t.Errorf("verified entry %d of %d", v.Index(), v.Checkpoint().Size)
		}
	})
}

func FuzzParseCheckpoint(f *testing.F) {
	f.Add("example.com/log\n2\nnND/nri/U0xuHUrYSy0HtMeal2vzD9V4k/BO79C+QeI=\nmore\n")
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := ParseCheckpoint(text); err == nil && c.Text() != text {
			t.Errorf("Text(ParseCheckpoint(%q)) = %q", text, c.Text())
		}
	})
}

// TestConsistencyProbes runs the probes of transparency-dev/merkle (Apache-2.0)
// that are about consistency.
func TestConsistencyProbes(t *testing.T) {
	data := os.Getenv("TOCSIN_DATA") //nolint:forbidigo // where the large test data is, if it is
	if data == "" {
		t.Skip("TOCSIN_DATA is not set")
	}
	file, err := os.Open(filepath.Join(data, "crypto", "merkle-proof-probes.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	var probes struct {
		Cases []struct {
			File         string
			Size1, Size2 uint64
			Root1, Root2 []byte
			Proof        [][]byte
			WantErr      bool
		}
	}
	if err := json.NewDecoder(z).Decode(&probes); err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, c := range probes.Cases {
		if !strings.HasPrefix(c.File, "consistency/") {
			continue
		}
		if len(c.Root1) != 32 || len(c.Root2) != 32 || c.Size1 > 1<<62 || c.Size2 > 1<<62 {
			continue // a checkpoint cannot say this
		}
		var proof []tlog.Hash
		whole := true
		for _, h := range c.Proof {
			whole = whole && len(h) == 32
			proof = append(proof, tlog.Hash(append(h, make([]byte, 32)...)[:32]))
		}
		if !whole {
			continue
		}
		ran++
		err := VerifyConsistency(
			Checkpoint{Origin: origin, Size: int64(c.Size1), Hash: tlog.Hash(c.Root1)},
			Checkpoint{Origin: origin, Size: int64(c.Size2), Hash: tlog.Hash(c.Root2)}, proof)
		if (err != nil) != c.WantErr {
			t.Errorf("VerifyConsistency(%s) = %v, want error %v", c.File, err, c.WantErr)
		}
	}
	if ran < 70 {
		t.Errorf("ran %d probes, want at least 70", ran)
	}
}

func TestConsistencyFromTheEmptyLedger(t *testing.T) {
	log := newTestLog(t)
	empty, err := tlog.TreeHash(0, nil)
	if err != nil {
		t.Fatal(err)
	}
	log.add(t, []byte("x"))
	root, err := tlog.TreeHash(1, log)
	if err != nil {
		t.Fatal(err)
	}
	zero, one := Checkpoint{Origin: origin, Hash: empty}, Checkpoint{Origin: origin, Size: 1, Hash: root}
	for name, tt := range map[string]struct {
		older, newer Checkpoint
		proof        []tlog.Hash
		ok           bool
	}{
		"0 to 1":          {older: zero, newer: one, ok: true},
		"0 to 0":          {older: zero, newer: zero, ok: true},
		"1 to 1":          {older: one, newer: one, ok: true},
		"1 to 0":          {older: one, newer: zero},
		"0 with a root":   {older: Checkpoint{Origin: origin, Hash: root}, newer: one},
		"0 to a root":     {older: zero, newer: Checkpoint{Origin: origin, Hash: root}},
		"with a proof":    {older: zero, newer: one, proof: []tlog.Hash{root}},
		"another origin":  {older: zero, newer: Checkpoint{Origin: "x", Size: 1, Hash: root}},
		"two roots for 1": {older: one, newer: Checkpoint{Origin: origin, Size: 1, Hash: empty}},
	} {
		t.Run(name, func(t *testing.T) {
			if err := VerifyConsistency(tt.older, tt.newer, tt.proof); (err == nil) != tt.ok {
				t.Errorf("VerifyConsistency = %v, want ok %v", err, tt.ok)
			}
		})
	}
}
