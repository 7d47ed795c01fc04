package agent

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
)

// writeFile makes a file that is either as it was or whole, even when the power
// goes: written beside it, synced, and put in its place.
func writeFile(path string, mode os.FileMode, write func(w io.Writer) error) error {
	_, _, err := replaceFile(path, mode, [sha256.Size]byte{}, write)
	return err
}

// replaceFile is writeFile that leaves the file alone when it has the content
// already whose SHA-256 is old. It returns that of the new content.
func replaceFile(path string, mode os.FileMode, old [sha256.Size]byte, write func(w io.Writer) error) (sum [sha256.Size]byte, changed bool, err error) {
	if target, err := filepath.EvalSymlinks(path); err == nil { // the link stays a link
		path = target
	}
	temporary := path + ".new"
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return old, false, err //nolint:wrapcheck // it names the file
	}
	h := sha256.New()
	b := bufio.NewWriterSize(io.MultiWriter(f, h), 256<<10)
	err = errors.Join(write(b), b.Flush())
	if h.Sum(sum[:0]); err == nil && sum == old {
		return old, false, errors.Join(f.Close(), os.Remove(temporary))
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return old, false, errors.Join(err, os.Remove(temporary))
	}
	if err := os.Rename(temporary, path); err != nil {
		return old, false, err //nolint:wrapcheck // it names the files
	}
	return sum, true, syncFolder(filepath.Dir(path))
}

// syncFolder makes what was renamed in a folder last.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err //nolint:wrapcheck // it names the folder
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// sumOf returns the SHA-256 of a file, zeros when it cannot be read.
func sumOf(path string) (sum [sha256.Size]byte) {
	f, err := os.Open(path)
	if err != nil {
		return sum
	}
	h := sha256.New()
	if _, err = io.Copy(h, f); errors.Join(err, f.Close()) == nil {
		h.Sum(sum[:0])
	}
	return sum
}
