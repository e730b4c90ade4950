//go:build !linux

package main

import (
	"errors"
	"os"
)

// Elsewhere than on Linux the scenarios that need these say so and end.

func suspend(*os.Process) error { return errors.ErrUnsupported }

func proceed(*os.Process) error { return errors.ErrUnsupported }

func limitFileSize(int, uint64) error { return errors.ErrUnsupported }
