// Package demo plays the whole loop on real data: a hub, three members, and an alarm that rings.
package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"tocsin/internal/hub"
)

// A Result is what really happened, as the parts saw it over HTTP.
type Result struct {
	ObjectsLoaded     int     `json:"objects_loaded"`      // of the sample, shared before the story begins
	LoadPerSecond     float64 `json:"load_objects_per_s"`  // how fast, through the whole durable journey
	SharedMS          float64 `json:"shared_ms"`           // from the submission to its acknowledgement and receipt
	ProtectMS         float64 `json:"protect_ms"`          // from the submission to the block at the other member
	SightingMS        float64 `json:"sighting_ms"`         // from the submission to the sighting at the finder
	VictimDataRemoved bool    `json:"victim_data_removed"` // neither any member nor any file of the hub has it
	FindingsCount     int     `json:"findings"`            // what the privacy gate took out
	SightingReturned  bool    `json:"sighting_returned"`
	AgencyReadLogged  bool    `json:"agency_read_logged"` // and its proof verifies
	AgencyPurpose     string  `json:"agency_purpose"`
	ReceiptVerified   bool    `json:"receipt_verified"` // with the hub's public key alone
	StrangerSees      string  `json:"stranger_sees"`    // what somebody outside the community is told
	Hub               string  `json:"hub"`
	VerifierKey       string  `json:"verifier_key"`
}

// OK reports whether the demo showed all that it is there to show.
func (r Result) OK() bool {
	return r.ObjectsLoaded > 0 && r.VictimDataRemoved && r.SightingReturned && r.AgencyReadLogged && r.ReceiptVerified
}

// Options say how to play.
type Options struct {
	Dir    string       // an empty folder for everything that the demo keeps
	Listen string       // where the hub listens; 127.0.0.1:0, any free port, when empty
	Tell   func(Moment) // called for each moment of the story, in order
	Log    *slog.Logger // for what goes wrong inside; nowhere when nil
}

// A Moment is one line of the story.
type Moment struct {
	At     time.Duration // since the submission; negative before it
	Who    string
	Text   string
	Detail []string // for people who want to know more
}

// Run plays the story and returns what happened. Then it calls stay, if there
// is one, with the hub and its members still running, and ends when that
// returns.
func Run(ctx context.Context, o Options, stay func(context.Context, *Stage) error) (Result, error) {
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()

	started, failed := make(chan hub.Started, 1), make(chan error, 1)
	running.Go(func() {
		failed <- hub.Run(ctx, hub.Options{
			Data: filepath.Join(o.Dir, "hub"), Listen: o.Listen, Log: o.Log,
			Ready: func(s hub.Started) { started <- s },
		})
	})
	s := &Stage{options: o, running: &running}
	select {
	case s.Hub = <-started:
	case err := <-failed:
		return Result{}, fmt.Errorf("hub: %w", err)
	}
	s.result.Hub, s.result.VerifierKey = s.Hub.URL, s.Hub.VerifierKey
	for _, act := range []func(context.Context) error{s.invite, s.load, s.watch, s.find, s.protect, s.see, s.oversee, s.prove, s.search} {
		if err := act(ctx); err != nil {
			return s.result, err
		}
	}
	if stay != nil {
		return s.result, stay(ctx, s)
	}
	return s.result, nil
}

// absent reports whether none of the values is in any file of a folder.
func absent(folder string, values ...string) (bool, error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return false, fmt.Errorf("folder: %w", err)
	}
	defer func() { _ = root.Close() }() // it was only read
	found := false
	err = fs.WalkDir(root.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := root.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) { // the database makes and removes files as it goes
			return nil
		}
		for _, v := range values {
			found = found || bytes.Contains(text, []byte(v))
		}
		return err
	})
	return !found, err
}
