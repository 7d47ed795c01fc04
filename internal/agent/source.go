package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	parsed "tocsin/internal/indicator"
	"tocsin/internal/match"
	"tocsin/stix"
)

// filesEvery is how often it is looked whether a file with indicators changed.
const filesEvery = 2 * time.Second

// atOnce is how many indicators of a file are taken without a pause.
const atOnce = 1000

// listedID begins the ids of values that have none of their own.
const listedID = "value--"

const filePrefix = "file:"

// fileKey is the key of the shelf for a file with indicators.
func fileKey(path string) string { return filePrefix + path }

func isFile(key string) bool { return strings.HasPrefix(key, filePrefix) }

// A fileLook is how a file with indicators looked when it was read.
type fileLook struct {
	size    int64
	changed time.Time
	said    string // what went wrong; it is told once
}

// readFiles reads the files with indicators when they change, until the context
// ends. What a file has no longer is taken back; a file that cannot be read
// changes nothing.
func (a *agent) readFiles(ctx context.Context, known map[string]fileLook) {
	tick := time.NewTicker(filesEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		a.lookAtFiles(ctx, known)
	}
}

// lookAtFiles reads the files that changed.
func (a *agent) lookAtFiles(ctx context.Context, known map[string]fileLook) {
	for _, path := range a.Files {
		now := known[path]
		info, err := os.Stat(path)
		if err == nil && (info.Size() != now.size || !info.ModTime().Equal(now.changed)) {
			now.size, now.changed = info.Size(), info.ModTime()
			err = a.readFile(path)
		} else if err == nil {
			continue
		}
		text := ""
		if err != nil {
			text = err.Error()
		}
		if text != "" && text != now.said {
			a.failed(ctx, "indicators", Event{File: path, Err: err})
		}
		now.said = text
		known[path] = now
		a.settle(fileKey(path))
	}
}

func (a *agent) readFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err //nolint:wrapcheck // it names the file
	}
	result, err := parsed.Read(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("indicators: %w", err)
	}
	now := time.Now()
	key := fileKey(path)
	a.mu.Lock()
	gone := maps.Clone(a.book.shelf(key).indicators)
	a.mu.Unlock()
	// In parts: whoever looks through a log does not wait for a million of them.
	for some := range slices.Chunk(result.Indicators, atOnce) {
		a.mu.Lock()
		for i := range some {
			a.takeFrom(key, reduce(&some[i]), gone, now)
		}
		a.mu.Unlock()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for id := range gone {
		a.book.drop(key, id)
	}
	a.wake()
	return nil
}

// takeFrom takes an indicator of a file, unless the same was there. Whoever
// calls holds the lock.
func (a *agent) takeFrom(key string, in *indicator, gone map[string]*indicator, now time.Time) {
	in.Marked = nil // what they say is in its Action
	in.ID = cmp.Or(in.ID, idOf(in.Values))
	if in.ID == "" || strings.ContainsAny(in.ID, " \n") {
		return
	}
	known := gone[in.ID]
	delete(gone, in.ID)
	if known != nil && sameIndicator(known, in) {
		return
	}
	in.came = now
	a.book.drop(key, in.ID)
	a.book.take(key, in, now)
}

// idOf makes an id of values that have none: the same for the same.
func idOf(v []match.Value) string {
	if len(v) == 0 {
		return ""
	}
	namespace := [16]byte{0x2f, 0x6a, 0x40, 0x1d, 0x9c, 0x3b, 0x4e, 0x55, 0x8a, 0x07, 0xd1, 0x62, 0x5e, 0xb9, 0x30, 0xc4}
	return listedID + stix.UUIDv5(namespace, []byte(v[0].Kind().String()+" "+v[0].Text()))
}

// sameIndicator reports whether two say the same.
func sameIndicator(x, y *indicator) bool {
	return x.Version.Equal(y.Version) && x.From.Equal(y.From) && x.Until.Equal(y.Until) && x.Action == y.Action && x.Revoked == y.Revoked && x.Benign == y.Benign &&
		x.Rule == y.Rule && x.TLP == y.TLP && slices.Equal(x.Values, y.Values)
}
