package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// measureCheck runs the real enqueue: once to say its help, which shows what the program weighs by itself, and once to
// check a large file.
func measureCheck(ctx context.Context, s *stand, r *report) error {
	enqueue, err := s.program(ctx, "enqueue")
	if err != nil {
		return err
	}
	path, err := s.contacts(s.checkRows)
	if err != nil {
		return err
	}
	var starts, peaks, speeds []float64
	for round := range min(s.rounds, checkRounds) {
		start, _, err := s.watched(ctx, enqueue, "--help")
		if err != nil {
			return err
		}
		peak, took, err := s.watched(ctx, enqueue, "check", path, "--json")
		if err != nil {
			return err
		}
		fmt.Fprintf(s.log, "round %d: check of %d rows: %.1f MiB, %v\n", round+1, s.checkRows, mebibytes(peak), took)
		starts, peaks = append(starts, mebibytes(start)), append(peaks, mebibytes(peak))
		speeds = append(speeds, float64(s.checkRows)/took.Seconds())
	}
	r.Check = &checkReport{Rows: s.checkRows, StartMiB: spreadOf(starts), PeakMiB: spreadOf(peaks),
		RowsPerSecond: spreadOf(speeds)}
	return nil
}

// checkRounds is enough for a figure that hardly varies.
const checkRounds = 3

func mebibytes(kib int) float64 { return float64(kib) / 1024 }

// watched runs a program to its end and returns its peak memory in KiB and its time.
func (s *stand) watched(ctx context.Context, name string, args ...string) (peak int, took time.Duration, err error) {
	cmd := exec.CommandContext(ctx, name, args...) //nolint:gosec // built from our own sources
	// No account and no Redis.
	cmd.Env = []string{"HOME=" + s.dir, "XDG_CONFIG_HOME=" + s.dir, "LANG=en_US"}
	var complaint strings.Builder
	cmd.Stdout, cmd.Stderr = io.Discard, &complaint
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, 0, fmt.Errorf("start enqueue: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		// The peak is read while the program runs, and it only grows: what its last millisecond adds is missed. The
		// figure that the kernel hands to a parent is no good, since it includes the parent's own size at the fork.
		now, err := peakMemory(cmd.Process.Pid)
		if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, errNoPeak) {
			return 0, 0, errors.Join(err, cmd.Process.Kill(), <-ended)
		}
		peak = max(peak, now)
		select {
		case err := <-ended:
			took = time.Since(begun)
			if err == nil && peak == 0 {
				err = errNoPeak
			}
			if err != nil {
				return 0, 0, fmt.Errorf("run enqueue %s: %w\n%s", args[0], err, complaint.String())
			}
			return peak, took, nil
		case <-tick.C:
		}
	}
}

// errNoPeak means that the process has no memory any more, or that this is not Linux.
var errNoPeak = errors.New("the peak memory of the process is not known")

// peakMemory is the largest resident size that a process had so far, in KiB: VmHWM of proc(5).
func peakMemory(pid int) (int, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("read peak memory: %w", err)
	}
	defer func() { _ = f.Close() }()
	return parsePeak(f)
}

func parsePeak(status io.Reader) (int, error) {
	lines := bufio.NewScanner(status)
	for lines.Scan() {
		value, ok := strings.CutPrefix(lines.Text(), "VmHWM:")
		if !ok {
			continue
		}
		kib, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(value, "kB")))
		if err != nil {
			return 0, fmt.Errorf("read peak memory: %w", err)
		}
		return kib, nil
	}
	return 0, errNoPeak
}
