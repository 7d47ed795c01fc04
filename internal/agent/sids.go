package agent

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/go-json-experiment/json"

	"tocsin/internal/export"
)

// sidsName is the file in the state folder that keeps the numbers of Suricata
// and Snort rules.
const sidsName = "sids.json"

// A sidFile is the numbers of rules, and where they are kept.
type sidFile struct {
	export.SIDs

	path  string
	saved uint32 // Next, when it was saved last
}

func openSIDs(folder string) (*sidFile, error) {
	s := &sidFile{path: filepath.Join(folder, sidsName)}
	text, err := os.ReadFile(s.path)
	if err == nil {
		err = json.Unmarshal(text, &s.SIDs)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", sidsName, err)
	}
	s.saved = s.Next
	return s, nil
}

// save writes the numbers, if there are new ones.
func (s *sidFile) save() error {
	if s.Next == s.saved {
		return nil
	}
	text, err := json.Marshal(&s.SIDs)
	if err == nil {
		err = writeFile(s.path, 0o600, func(w io.Writer) error {
			_, err := w.Write(text)
			return err //nolint:wrapcheck // it names the file
		})
	}
	if err != nil {
		return fmt.Errorf("%s: %w", sidsName, err)
	}
	s.saved = s.Next
	return nil
}
