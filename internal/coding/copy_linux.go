package coding

import (
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// copies hold texts a second time, in a file that is in memory only: from a
// file the system sends pages without copying them (sendfile(2)), which is most
// of what an answer of 100 kB costs.
//
// The file only grows, and what nobody needs any more is cut out of it. So no
// byte in it ever changes, and what is still on its way to a client stays what
// it was: the system holds on to those pages.
type copies struct {
	once sync.Once
	fd   int // -1 when the system gives none

	mu   sync.Mutex // guards end
	end  int64
	held atomic.Int64 // bytes
}

// Bounds of what is copied.
const (
	mostCopied   = 32 << 20  // bytes, in all
	largestCopy  = 512 << 10 // bytes; larger ones are sent as fast from where they are
	smallestCopy = 16 << 10  // bytes; smaller ones as well
	asksForCopy  = 4         // only what is asked for again and again is worth a copy
	placeBytes   = 64 << 10  // places begin at multiples of this, and so of any page of the system
)

// A copied text lies at a place in the file.
type copied struct {
	place  int64
	length int
}

// A File says where a text lies in a file.
type File struct {
	Descriptor int
	Offset     int64
}

// File returns where the text lies in a file in the coding that [Text.In] gave,
// false when it is in none. The place is good while the text is reachable.
func (t *Text) File(c Coding) (File, bool) {
	f := &t.forms[c]
	if at := f.copy.Load(); at != nil {
		return File{t.compressor.copies.fd, at.place}, true
	}
	if n := len(f.bytes); n < smallestCopy || n > largestCopy || f.asked.Add(1) != asksForCopy {
		return File{}, false
	}
	at := t.compressor.copies.add(f.bytes)
	if at == nil {
		f.asked.Store(0)
		return File{}, false
	}
	f.copy.Store(at)
	if t.grown != nil {
		t.grown(at.length)
	}
	return File{t.compressor.copies.fd, at.place}, true
}

// add copies a text, nil when there is no room. Room is made when the copy is
// reachable no more.
func (c *copies) add(text []byte) *copied {
	c.once.Do(func() {
		var err error
		if c.fd, err = unix.MemfdCreate("pages", unix.MFD_CLOEXEC); err != nil {
			c.fd = -1
		}
	})
	size := (int64(len(text)) + placeBytes - 1) / placeBytes * placeBytes
	if c.fd < 0 {
		return nil
	}
	if c.held.Add(size) > mostCopied {
		c.held.Add(-size)
		return nil
	}
	c.mu.Lock()
	at := &copied{c.end, len(text)}
	c.end += size
	c.mu.Unlock()
	runtime.AddCleanup(at, c.drop, *at)
	for done := 0; done < len(text); {
		n, err := unix.Pwrite(c.fd, text[done:], at.place+int64(done))
		if err != nil || n <= 0 {
			return nil // its room is made again as that of any other
		}
		done += n
	}
	return at
}

// drop gives back what a copy took.
func (c *copies) drop(at copied) {
	size := (int64(at.length) + placeBytes - 1) / placeBytes * placeBytes
	_ = unix.Fallocate(c.fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, at.place, size) // no more than memory is lost
	c.held.Add(-size)
}
