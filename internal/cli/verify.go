package cli

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tocsin/receipt"
	"tocsin/stix"
	"tocsin/tlp"
)

func (a *app) verify() *cobra.Command {
	var keys []string
	var object string
	var jsonl bool
	c := &cobra.Command{
		Use:   "verify RECEIPT…",
		Short: "Check what a receipt proves, without asking or trusting the hub",
		Long: `Checks receipts (.tlog-proof files, C2SP tlog-proof) against the hub's verifier
key, which 'tocsin serve' prints at its start and everybody should get from a place
that they trust. With --object it checks as well that the objects in a file are those
that the receipt is about, byte for byte.

Exit code 0: it is proven. 1: it is not. With --jsonl every line of standard input,
{"receipt": "…", "keys": ["…"], "object": {…}}, gets a line of output; the receipt is
the file's text or base64 of it, keys and object may be left out, and the exit code is
0 when all lines were answered.`,
		Example: `  tocsin verify receipts/0b7c….tlog-proof --key hub.example.org/log+1a2b3c4d+AQ…
  tocsin verify receipts/*.tlog-proof --key hub.key --key witness.key
  tocsin verify my.tlog-proof --key hub.key --object threats.json`,
		GroupID: groupCheck,
		RunE: func(cmd *cobra.Command, names []string) error {
			vkeys, err := readKeys(keys)
			if err != nil {
				return err
			}
			if jsonl {
				if len(names) > 0 {
					return usage("--jsonl reads standard input and takes no files", "tocsin verify --jsonl --key KEY < FILE")
				}
				return a.lines(cmd.Context(), func(line []byte) any { return verifyLine(line, vkeys) })
			}
			if len(names) == 0 {
				return usage("name at least one receipt", `they end in .tlog-proof; 'tocsin submit' saves them in ./receipts`)
			}
			if len(vkeys) == 0 {
				return usage("a receipt is checked against the hub's verifier key: give --key", "'tocsin serve' prints the key at its start; it may be given as text or as a file")
			}
			return a.verifyFiles(cmd.Context(), names, vkeys, object)
		},
	}
	c.Flags().StringArrayVar(&keys, "key", nil, "the hub's verifier key, or a file that holds it; more of them for witnesses")
	c.Flags().StringVar(&object, "object", "", "a file with the objects that the receipt should be about")
	c.Flags().BoolVar(&jsonl, "jsonl", false, "check every line of standard input, one line of result for each")
	return c
}

// readKeys returns verifier keys that were given as text or as files of lines.
func readKeys(given []string) ([]string, error) {
	var vkeys []string
	for _, k := range given {
		if b, err := os.ReadFile(k); err == nil {
			for line := range strings.Lines(string(b)) {
				if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
					vkeys = append(vkeys, line)
				}
			}
			continue
		}
		vkeys = append(vkeys, k)
	}
	for _, k := range vkeys {
		// Checking nothing against it tells whether it is a key at all.
		if _, err := receipt.OpenCheckpoint(nil, k); err != nil && strings.HasPrefix(err.Error(), "keys: ") {
			return nil, &failure{code: ExitUsage, what: "this is neither a verifier key nor a file that holds one", where: k, next: "a key looks like NAME+12345678+AQ…; copy it whole"}
		}
	}
	return vkeys, nil
}

// A proven is what became of one receipt, as programs read it.
type proven struct {
	File       string             `json:"file,omitempty"`
	Valid      bool               `json:"valid"`
	Error      string             `json:"error,omitempty"` // why it does not verify
	Kind       string             `json:"kind,omitempty"`
	Time       *time.Time         `json:"time,omitempty"`
	Statement  json.RawMessage    `json:"statement,omitempty"`
	Index      *int64             `json:"index,omitempty"`
	Size       int64              `json:"size,omitempty"` // of the ledger at the checkpoint
	Origin     string             `json:"origin,omitempty"`
	Cosigners  []receipt.Cosigner `json:"cosigners,omitempty"`
	Objects    []matched          `json:"objects,omitempty"` // those of --object
	submission *receipt.Submission
}

// A matched says whether the receipt is about an object.
type matched struct {
	ID     string `json:"id"`
	Proven bool   `json:"proven"`
	Why    string `json:"why,omitempty"` // it is not
}

// prove checks one receipt and, when there are any, objects against it.
func prove(text []byte, vkeys []string, objects [][]byte) proven {
	p, err := receipt.ParseProof(text)
	if err != nil {
		return proven{Error: err.Error()}
	}
	v, err := receipt.Verify(p, vkeys...)
	if err != nil {
		return proven{Error: err.Error()}
	}
	at, index, c := v.Time(), v.Index(), v.Checkpoint()
	r := proven{
		Valid: true, Kind: string(v.Kind()), Time: &at, Statement: v.Statement(), Index: &index,
		Size: c.Size, Origin: c.Origin, Cosigners: c.Cosigners,
	}
	if s, err := v.Submission(); err == nil {
		r.submission = &s
	}
	for _, o := range objects {
		m := r.match(o)
		r.Valid = r.Valid && m.Proven
		r.Objects = append(r.Objects, m)
	}
	if !r.Valid {
		r.Error = "objects: the receipt is genuine, but not about these objects"
	}
	return r
}

// match looks an object up in the receipt's list, by its bytes.
func (p *proven) match(raw []byte) matched {
	var m matched
	if v, err := stix.Parse(raw, stix.Limits{}); err == nil {
		m.ID = v.Get("id").Text()
	}
	if p.submission == nil {
		m.Why = "the receipt is for a " + p.Kind + ", not for a submission"
		return m
	}
	sum := sha256.Sum256(raw)
	hash := hex.EncodeToString(sum[:])
	m.Why = "the receipt does not name this object"
	for _, o := range p.submission.Objects {
		if o.SHA256 == hash {
			return matched{ID: o.ID, Proven: true}
		}
		if o.ID == m.ID {
			m.Why = "the receipt names this object with other content: another version, or what the privacy gate left of it"
		}
	}
	return m
}

// objectsOf returns the objects in a text, as they stand there.
func objectsOf(r io.Reader) ([][]byte, error) {
	var objects [][]byte
	for s := newSplitter(r); ; {
		p, err := s.next()
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		if !p.shell {
			objects = append(objects, bytes.Clone(p.raw))
		}
	}
}

func verifyLine(line []byte, vkeys []string) any {
	v, err := stix.Parse(line, stix.Limits{Bytes: maxLine})
	if err != nil {
		return proven{Error: "line: " + syntaxFault(err).Message}
	}
	if own := v.Get("keys"); own.Exists() {
		vkeys = slices.Clone(vkeys)
		for _, k := range own.Elements() {
			vkeys = append(vkeys, k.Text())
		}
	}
	text := []byte(v.Get("receipt").Text())
	if decoded, err := base64.StdEncoding.DecodeString(string(text)); err == nil {
		text = decoded
	}
	var objects [][]byte
	if o := v.Get("object"); o.Exists() {
		raw := o.Raw()
		if o.Kind() == stix.String {
			raw = []byte(o.Text())
		}
		if objects, err = objectsOf(bytes.NewReader(raw)); err != nil {
			return proven{Error: "object: " + err.Error()}
		}
	}
	return prove(text, vkeys, objects)
}

func (a *app) verifyFiles(ctx context.Context, names, vkeys []string, object string) error {
	var objects [][]byte
	if object != "" {
		in, err := a.open(object)
		if err != nil {
			return err
		}
		defer in.close()
		if objects, err = objectsOf(in.r); err != nil {
			return &failure{code: ExitFault, what: "the file cannot be read to its end", where: object, err: err}
		}
		if len(objects) == 0 {
			return &failure{code: ExitUsage, what: "there is no object in it", where: object}
		}
	}
	results := make([]proven, 0, len(names))
	valid := true
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err //nolint:wrapcheck // told apart by the caller
		}
		in, err := a.open(name)
		if err != nil {
			return err
		}
		text, err := io.ReadAll(io.LimitReader(in.r, receipt.MaxProofSize+1))
		in.close()
		if err != nil {
			return &failure{code: ExitFault, what: "the file cannot be read", where: name, err: err}
		}
		r := prove(text, vkeys, objects)
		r.File = name
		valid = valid && r.Valid
		results = append(results, r)
		if !a.json {
			a.showProven(&r)
		}
	}
	if a.json {
		if err := a.writeJSON(map[string]any{"valid": valid, "receipts": results}); err != nil {
			return err
		}
	}
	if !valid {
		return errNo
	}
	return nil
}

// showProven says in plain words what a receipt proves.
func (a *app) showProven(p *proven) {
	if p.Kind == "" {
		step, why, _ := strings.Cut(p.Error, ": ")
		a.say("%s %s proves nothing: %s", a.out(red, "✗"), safe(p.File), safe(why))
		a.say("    %s", unprovenHint(step))
		return
	}
	a.say("%s %s is genuine", a.out(green, "✓"), safe(p.File))
	line := func(name, format string, arguments ...any) {
		a.say("    %-11s %s", name, safe(fmt.Sprintf(format, arguments...)))
	}
	line("ledger", "%s holds it as entry %s of %s", p.Origin, grouped(int(*p.Index)+1), grouped(int(p.Size)))
	line("time", "%s, says the hub", p.Time.UTC().Format("2 January 2006, 15:04:05 MST"))
	for _, c := range p.Cosigners {
		line("witness", "%s saw this ledger on %s", c.Name, c.Time.UTC().Format("2 January 2006, 15:04:05 MST"))
	}
	if p.submission != nil {
		describeSubmission(line, p.submission)
	} else {
		line("statement", "%s: %s", p.Kind, p.Statement)
	}
	a.showMatched(p.Objects)
	if p.submission != nil && len(p.Objects) == 0 {
		line("not shown", "what the objects say: the receipt holds only their hashes; --object FILE compares")
	}
}

// mostMatched is how many objects that are in a receipt, and how many that are
// not, a person is shown.
const mostMatched = 10

func (a *app) showMatched(objects []matched) {
	shown := map[bool]int{}
	for _, m := range objects {
		if shown[m.Proven]++; shown[m.Proven] > mostMatched {
			continue
		}
		if m.Proven {
			a.say("    %s %s is in it, byte for byte", a.out(green, "✓"), safe(m.ID))
		} else {
			a.say("    %s %s is not proven: %s", a.out(red, "✗"), safe(orElse(m.ID, "an object")), m.Why)
		}
	}
	if len(objects) > mostMatched {
		a.say("    in all, %s of %s are in it", grouped(shown[true]), count(len(objects), "object"))
	}
}

// unprovenHint says what a failed step of the verification means.
func unprovenHint(step string) string {
	switch step {
	case "keys":
		return "the key that was given cannot be used; copy it whole"
	case "checkpoint":
		return "it was not issued by the hub whose key was given, or it was changed"
	case "inclusion", "statement":
		return "it was changed, or it was put together from parts of others"
	}
	return "a receipt is the .tlog-proof file as the hub gave it, unchanged"
}

// describeSubmission says what a hub put on record about a submission.
func describeSubmission(line func(name, format string, arguments ...any), s *receipt.Submission) {
	by := s.Organization
	if s.User != "" {
		by += ", by its user " + s.User
	}
	line("shared", "%s from %s", count(len(s.Objects), "object"), by)
	line("to", "community %s, collection %s (submission %s)", s.Community, s.Collection, s.ID)
	audience := strings.Join(s.Recipients, ", ")
	if len(s.Recipients) == 1 && strings.HasPrefix(s.Recipients[0], "community:") {
		audience = "all of the community that the markings let see it"
	}
	line("audience", "%s", audience)
	var marks []string
	for _, id := range s.Restrictions {
		if label, ok := tlp.FromMarking(id); ok {
			marks = append(marks, label.String())
		} else {
			marks = append(marks, id)
		}
	}
	switch {
	case len(marks) > 0 && s.Default != "":
		line("conditions", "%s; what is not marked counts as %s", strings.Join(marks, ", "), s.Default)
	case len(marks) > 0:
		line("conditions", "%s", strings.Join(marks, ", "))
	case s.Default != "":
		line("conditions", "not marked: counts as %s", s.Default)
	}
	if s.Purpose != "" {
		line("purpose", "%s", s.Purpose)
	}
	var removed []string
	for rule, n := range s.Removed {
		removed = append(removed, fmt.Sprintf("%s × %s", grouped(n), rule))
	}
	slices.Sort(removed)
	line("privacy", "removed at the hub: %s", orElse(strings.Join(removed, ", "), "nothing was left to remove"))
	line("", "by the rules %s", s.RulesHash)
	reviewed := map[string]int{}
	for _, r := range s.Reviewed {
		reviewed[r.State+" by "+strings.Join(r.By, ", ")]++
	}
	for _, how := range slices.Sorted(maps.Keys(reviewed)) {
		line("reviewed", "%s: %s", count(reviewed[how], "value"), how)
	}
	if s.Held > 0 {
		line("waiting", "%s", count(s.Held, "object"))
	}
	if s.Failed > 0 {
		line("refused", "%s", count(s.Failed, "object"))
	}
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
