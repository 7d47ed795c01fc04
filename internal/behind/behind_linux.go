package behind

import "golang.org/x/sys/unix"

// lower lowers the priority of the calling thread. Linux takes the id of a thread
// where POSIX has that of a process (setpriority(2), C library/kernel differences).
func lower() {
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), niceness) // slower for others without it, and no harm
}
