package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// other measures a scanner that takes far longer than tocsin: on nothing, which
// says what its list costs, and on a piece of the log, which says how fast it
// is. Its time and its memory are bounded. In the C locale grep is fastest.
func (s *scanSession) other(ctx context.Context, command []string, n int, ours float64) ScanRow {
	row := ScanRow{Program: command[0] + " -F -f", Indicators: n, Format: "text"}
	limited := append([]string{"sh", "-c", "ulimit -v " + strconv.Itoa(otherMemoryMiB<<10) + `; LC_ALL=C exec "$@"`, "sh"}, command...)
	setup, _, err := runOther(ctx, append(slices.Clip(limited), s.path("empty")), s.Limit)
	if err != nil {
		row.Note = "reads no byte: " + s.why(err)
		return row
	}
	row.Load, row.LoadWall = setup.cpu.Seconds(), setup.wall.Seconds()
	took, most, err := runOther(ctx, append(slices.Clip(limited), s.path("piece")), s.Limit)
	row.Memory = most
	if err != nil {
		row.Note = "does not get through a piece: " + s.why(err)
		return row
	}
	info, err := os.Stat(s.path("piece"))
	if err != nil {
		row.Note = "the piece is gone"
		return row
	}
	row.OneCore, row.PerCPU = rate(info.Size(), took.wall-setup.wall), rate(info.Size(), took.cpu-setup.cpu)
	row.Ratio = ours / row.PerCPU
	whole := row.Load + float64(s.Bytes)/1e6/row.PerCPU
	row.Note = fmt.Sprintf("from a piece of %d MB; %.0f processor seconds for the whole log", info.Size()/1_000_000, whole)
	return row
}

func (s *scanSession) why(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "more than " + s.Limit.String()
	}
	return fmt.Sprintf("it fails with %d MiB", otherMemoryMiB)
}

// runOther runs a program to its end, its output to nowhere, and returns what it
// took and the most memory that it was seen to hold. That it found nothing is no
// error.
func runOther(ctx context.Context, command []string, limit time.Duration) (took timing, most int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	c := exec.CommandContext(ctx, command[0], command[1:]...) //nolint:gosec // fixed programs, on files of our own
	// With its output in /dev/null grep stops at the first line that it finds.
	if command[0] == "sh" {
		c.Stdout = io.Discard
	}
	began := time.Now()
	if err := c.Start(); err != nil {
		return timing{}, 0, fmt.Errorf("start: %w", err)
	}
	done := make(chan error, 1)
	go func() { done <- c.Wait() }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for running := true; running; {
		select {
		case err = <-done:
			running = false
		case <-tick.C:
			_, held := memory(c.Process.Pid)
			most = max(most, held)
		}
	}
	took = timing{time.Since(began), c.ProcessState.UserTime() + c.ProcessState.SystemTime()}
	if ctx.Err() != nil {
		return took, most, ctx.Err() //nolint:wrapcheck // callers compare it
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		err = nil
	}
	return took, most, err //nolint:wrapcheck // callers compare it
}

// clockTicks is how many there are in a second in what Linux tells of processes
// (USER_HZ, proc(5)).
const clockTicks = 100

// processorTime returns what this process has computed, 0 where the system does
// not tell (it does on Linux).
func processorTime() time.Duration {
	text, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(text), ") ") // the program's name may have spaces
	fields := strings.Fields(after)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * time.Second / clockTicks
}

// loadAverage returns how busy the machine is, "" where the system does not tell.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}
