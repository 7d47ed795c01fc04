package behind

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestACrewIsBehindOthers(t *testing.T) {
	c := New(1)
	defer c.Close()
	priority := func() int {
		p, err := unix.Getpriority(unix.PRIO_PROCESS, unix.Gettid())
		if err != nil {
			t.Fatal(err)
		}
		return 20 - p // as the system call gives it (getpriority(2))
	}
	mine, crews := priority(), 0
	if err := c.Do(t.Context(), func() { crews = priority() }); err != nil {
		t.Fatal(err)
	}
	if want := max(mine, niceness); crews != want || priority() != mine {
		t.Errorf("the crew has niceness %d, want %d; the caller %d, before %d", crews, want, priority(), mine)
	}
}
