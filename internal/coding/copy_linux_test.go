package coding

import (
	"bytes"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// often asks for a text until it is in a file, or will not be.
func often(t *Text) (File, bool) {
	for range asksForCopy {
		if f, ok := t.File(Identity); ok {
			return f, true
		}
	}
	return File{}, false
}

func TestATextThatIsAskedForOftenLiesInAFile(t *testing.T) {
	var c Compressor
	var grown int
	content := bytes.Repeat([]byte("0123456789"), smallestCopy)
	text := c.Text(content, func(n int) { grown += n })
	if _, ok := text.File(Identity); ok {
		t.Error("a text that was asked for once is in a file")
	}
	f, ok := often(text)
	if !ok {
		t.Skip("the system makes no file in memory")
	}
	got := make([]byte, len(content))
	if n, err := unix.Pread(f.Descriptor, got, f.Offset); err != nil || n != len(content) || !bytes.Equal(got, content) {
		t.Errorf("the file has %d bytes of %d there, or others (%v)", n, len(content), err)
	}
	if grown != len(content) {
		t.Errorf("%d bytes were counted, want %d", grown, len(content))
	}
	for _, size := range []int{smallestCopy - 1, largestCopy + 1} {
		if _, ok := often(c.Text(make([]byte, size), nil)); ok {
			t.Errorf("a text of %d bytes was copied", size)
		}
	}
	runtime.KeepAlive(text)
}

func TestCopiesTakeABoundedAmountOfMemoryAndGiveItBack(t *testing.T) {
	var c Compressor
	var all []*Text
	for range mostCopied / largestCopy {
		text := c.Text(make([]byte, largestCopy), nil)
		if _, ok := often(text); !ok {
			t.Skip("the system makes no file in memory")
		}
		all = append(all, text)
	}
	if _, ok := often(c.Text(make([]byte, smallestCopy), nil)); ok {
		t.Fatal("more was copied than there is room for")
	}
	runtime.KeepAlive(all) // and not beyond
	for range 500 {        // cleanups run soon after a collection
		runtime.GC()
		if c.copies.held.Load() == 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	var stat unix.Stat_t
	if err := unix.Fstat(c.copies.fd, &stat); err != nil || stat.Blocks != 0 {
		t.Errorf("the file takes %d blocks when nothing of it is needed (%v)", stat.Blocks, err)
	}
	if _, ok := often(c.Text(make([]byte, smallestCopy), nil)); !ok {
		t.Error("there is no room again")
	}
}
