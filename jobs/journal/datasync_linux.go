package journal

import (
	"os"
	"syscall"
)

// datasync makes what was written durable.
func datasync(f *os.File) error {
	for {
		switch err := syscall.Fdatasync(int(f.Fd())); err { //nolint:errorlint // the system call's own
		case nil:
			return nil
		case syscall.EINTR:
		default:
			return &os.PathError{Op: "fdatasync", Path: f.Name(), Err: err}
		}
	}
}
