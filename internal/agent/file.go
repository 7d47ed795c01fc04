package agent

import (
	"bufio"
	"errors"
	"io"
	"os"
	"path/filepath"
)

// writeFile makes a file that is either as it was or whole, even when the power
// goes: written beside it, synced, and put in its place.
func writeFile(path string, mode os.FileMode, write func(w io.Writer) error) (err error) {
	temporary := path + ".new"
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err //nolint:wrapcheck // it names the file
	}
	b := bufio.NewWriterSize(f, 256<<10)
	err = write(b)
	if err = errors.Join(err, b.Flush(), f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	if err := os.Rename(temporary, path); err != nil {
		return err //nolint:wrapcheck // it names the files
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder makes what was renamed in a folder last.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err //nolint:wrapcheck // it names the folder
	}
	return errors.Join(folder.Sync(), folder.Close())
}
