//go:build chaos

// Package crash names the moments at which a process may die; see crash.go. This is the chaos build:
//
//	PREGON_CRASH=after-claim#3   SIGKILL at the third time that this process reaches the point "after-claim"
//	PREGON_SEND_BUDGET=3s        another value for the duration of that name
package crash

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// chosen is where to die; left counts down to it. They are read once: the environment of a process does not change.
var chosen, left = parse(os.Getenv("PREGON_CRASH"))

func parse(text string) (string, *atomic.Int64) {
	name, count, _ := strings.Cut(text, "#")
	n, err := strconv.ParseInt(count, 10, 64)
	if err != nil {
		n = 1
	}
	times := new(atomic.Int64)
	times.Store(n)
	return name, times
}

// Point kills the process if this is where and when it was told to die. SIGKILL cannot be caught: nothing is flushed,
// nothing is given back.
func Point(name string) {
	if name != chosen || left.Add(-1) != 0 {
		return
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // the signal arrives a moment later
}

// Duration is what the environment says under PREGON_<NAME>, or else d.
func Duration(name string, d time.Duration) time.Duration {
	if given, err := time.ParseDuration(os.Getenv("PREGON_" + name)); err == nil {
		return given
	}
	return d
}
