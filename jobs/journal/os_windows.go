package journal

import (
	"errors"
	"os"
	"syscall"
)

const sharingViolation syscall.Errno = 32

// lockFile holds a file that nobody else can open until the returned one is closed or the process is gone.
func lockFile(path string) (*os.File, error) {
	name, err := syscall.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	h, err := syscall.CreateFile(name, syscall.GENERIC_READ|syscall.GENERIC_WRITE, 0, nil, syscall.OPEN_ALWAYS,
		syscall.FILE_ATTRIBUTE_NORMAL, 0)
	switch {
	case errors.Is(err, sharingViolation):
		return nil, errTaken
	case err != nil:
		return nil, &os.PathError{Op: "lock", Path: path, Err: err}
	}
	return os.NewFile(uintptr(h), path), nil
}

// syncDir has nothing to do: names of files are durable when their file is.
func syncDir(string) error { return nil }
