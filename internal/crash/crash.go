//go:build !chaos

// Package crash names the moments at which a process may die. In a usual build its functions do nothing; in a chaos
// build (tag "chaos") the environment chooses a point, and the process kills itself there as if its power were cut.
// `make chaos` proves with it that no such moment loses or repeats a message.
package crash

import "time"

// Point is a moment worth dying at.
func Point(string) {}

// Duration is d; a chaos build may shorten it, so that a run of minutes shows what a day of faults would.
func Duration(_ string, d time.Duration) time.Duration { return d }
