package ledger

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"tocsin/receipt"
)

// A Log is what tiles are served from.
type Log interface {
	// Checkpoint returns the newest signed checkpoint.
	Checkpoint(ctx context.Context) ([]byte, error)
	// Hashes returns stored tree hashes by position, in the layout of
	// golang.org/x/mod/sumdb/tlog.
	Hashes(ctx context.Context, positions []int64) ([][32]byte, error)
	// Entries returns the log entries [from, to).
	Entries(ctx context.Context, from, to int64) ([][]byte, error)
}

// Tiles serves a ledger to everybody (C2SP tlog-tiles):
//
//	/checkpoint
//	/tile/<L>/<N>[.p/<W>]
//	/tile/entries/<N>[.p/<W>]
//
// It is mounted with [http.StripPrefix]. It serves every partial tile that the
// ledger ever had, not only those of published sizes.
func Tiles(l Log, log *slog.Logger) http.Handler {
	t := &tiles{log: l}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /checkpoint", handle(log, t.checkpoint))
	mux.HandleFunc("GET /tile/{path...}", handle(log, t.tile))
	return mux
}

type tiles struct{ log Log }

// errNoTile is the answer to every path that is not a tile of the ledger.
var errNoTile = errors.New("no such tile")

func handle(log *slog.Logger, h func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err := h(w, r)
		switch {
		case err == nil:
		case errors.Is(err, errNoTile):
			w.Header().Set("Cache-Control", "no-cache") // it may exist soon
			http.Error(w, "404 not found", http.StatusNotFound)
		default:
			if r.Context().Err() == nil {
				log.ErrorContext(r.Context(), "ledger not served", "error", err)
			}
			http.Error(w, "500 internal error", http.StatusInternalServerError)
		}
	}
}

func (t *tiles) checkpoint(w http.ResponseWriter, r *http.Request) error {
	signed, err := t.log.Checkpoint(r.Context())
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("Content-Length", strconv.Itoa(len(signed)))
	_, _ = w.Write(signed) // fails only when the client has gone
	return nil
}

// tileHeight is the number of tree levels in a tile: 256 hashes wide.
const tileHeight = 8

func (t *tiles) tile(w http.ResponseWriter, r *http.Request) error {
	tile, err := parseTile(r.PathValue("path"))
	if err != nil {
		return err
	}
	signed, err := t.log.Checkpoint(r.Context())
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	size, err := sizeOf(signed)
	if err != nil {
		return err
	}
	if !exists(tile, size) {
		return errNoTile
	}
	var body []byte
	if tile.L < 0 {
		body, err = t.bundle(r.Context(), tile)
	} else {
		body, err = tlog.ReadTileData(tile, hashReader(r.Context(), t.log))
	}
	if err != nil {
		return fmt.Errorf("tile: %w", err)
	}
	if tile.L < 0 {
		// Hashes do not compress; entries, which are text, halve.
		w.Header().Set("Vary", "Accept-Encoding")
		if acceptsGzip(r.Header.Get("Accept-Encoding")) {
			w.Header().Set("Content-Encoding", "gzip")
			body = zip(body)
		}
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) //nolint:gosec // hashes of the hub's own making, and not HTML
	return nil
}

// bundle returns entries with their lengths before them.
func (t *tiles) bundle(ctx context.Context, tile tlog.Tile) ([]byte, error) {
	from := tile.N << tileHeight
	entries, err := t.log.Entries(ctx, from, from+int64(tile.W))
	if err != nil {
		return nil, err
	}
	if len(entries) != tile.W {
		return nil, fmt.Errorf("%d entries instead of %d", len(entries), tile.W)
	}
	var b []byte
	for _, e := range entries {
		if len(e) > MaxEntry {
			return nil, fmt.Errorf("entry of %d bytes", len(e))
		}
		b = binary.BigEndian.AppendUint16(b, uint16(len(e)))
		b = append(b, e...)
	}
	return b, nil
}

// parseTile reads <L>/<N>[.p/<W>] or entries/<N>[.p/<W>].
func parseTile(path string) (tlog.Tile, error) {
	level, rest, _ := strings.Cut(path, "/")
	switch level {
	case "entries":
		level = "data" // which is how golang.org/x/mod spells it
	case "data":
		return tlog.Tile{}, errNoTile
	}
	t, err := tlog.ParseTilePath("tile/" + strconv.Itoa(tileHeight) + "/" + level + "/" + rest)
	if err != nil || t.L > 63 {
		return tlog.Tile{}, errNoTile
	}
	return t, nil
}

// exists reports whether a ledger of size entries has the tile.
func exists(t tlog.Tile, size int64) bool {
	level := max(t.L, 0)
	if level > 7 { // 256⁸ is more than any size
		return false
	}
	width := size >> (tileHeight * level) // hashes on that level
	full := width >> tileHeight
	return t.N < full || t.N == full && int64(t.W) <= width&(1<<tileHeight-1)
}

// sizeOf reads the size from a checkpoint that the hub itself has signed.
func sizeOf(signed []byte) (int64, error) {
	text, _, ok := bytes.Cut(signed, []byte("\n\n"))
	if !ok {
		return 0, errors.New("checkpoint: not a signed note")
	}
	c, err := receipt.ParseCheckpoint(string(text) + "\n")
	if err != nil {
		return 0, err
	}
	return c.Size, nil
}

// hashReader reads for golang.org/x/mod, whose interface has no context.
func hashReader(ctx context.Context, l Log) tlog.HashReaderFunc {
	return func(positions []int64) ([]tlog.Hash, error) {
		hashes, err := l.Hashes(ctx, positions)
		if err != nil {
			return nil, err
		}
		out := make([]tlog.Hash, len(hashes))
		for i, h := range hashes {
			out[i] = h
		}
		return out, nil
	}
}

// acceptsGzip reads an Accept-Encoding header (RFC 9110 §12.5.3).
func acceptsGzip(header string) bool {
	for coding := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(coding, ";")
		if !strings.EqualFold(strings.TrimSpace(name), "gzip") {
			continue
		}
		q, ok := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q=")
		return !ok || strings.Trim(q, "0.") != ""
	}
	return false
}

func zip(b []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, _ = z.Write(b) // a bytes.Buffer does not fail
	_ = z.Close()
	return out.Bytes()
}
