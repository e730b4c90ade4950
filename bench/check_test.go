package main

import (
	"errors"
	"strings"
	"testing"
)

func TestThePeakIsReadFromProc(t *testing.T) {
	for _, c := range []struct {
		name, status string
		want         int
		unknown      bool
	}{
		{"of a process", "Name:\tenqueue\nVmPeak:\t 1270000 kB\nVmHWM:\t   21504 kB\nVmRSS:\t   20000 kB\n", 21504, false},
		{"of one that has ended", "Name:\tenqueue\nState:\tZ (zombie)\n", 0, true},
		{"of nothing", "", 0, true},
	} {
		got, err := parsePeak(strings.NewReader(c.status))
		if got != c.want || errors.Is(err, errNoPeak) != c.unknown || (err != nil) != c.unknown {
			t.Errorf("%s: %d, %v; want %d", c.name, got, err, c.want)
		}
	}
	if got, err := parsePeak(strings.NewReader("VmHWM:\tmuch kB\n")); err == nil || errors.Is(err, errNoPeak) {
		t.Errorf("a peak that is no number: %d, %v; want an error", got, err)
	}
}
