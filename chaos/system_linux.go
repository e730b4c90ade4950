package main

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"
)

// suspend stops a process as a virtual machine is stopped: it does not notice, only time passes.
func suspend(p *os.Process) error { return p.Signal(syscall.SIGSTOP) }

func proceed(p *os.Process) error { return p.Signal(syscall.SIGCONT) }

// limitFileSize sets another process's RLIMIT_FSIZE by prlimit, which the syscall package does not wrap.
func limitFileSize(pid int, limit uint64) error {
	var now syscall.Rlimit
	if err := prlimit(pid, nil, &now); err != nil {
		return fmt.Errorf("read the file size limit of process %d: %w", pid, err)
	}
	// Only the soft limit: without privileges a hard one could not be lifted again.
	now.Cur = min(limit, now.Max)
	if err := prlimit(pid, &now, nil); err != nil {
		return fmt.Errorf("set the file size limit of process %d: %w", pid, err)
	}
	return nil
}

func prlimit(pid int, wanted, found *syscall.Rlimit) error {
	const fileSize = syscall.RLIMIT_FSIZE
	_, _, code := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(pid), fileSize,
		uintptr(unsafe.Pointer(wanted)), //nolint:gosec // how the kernel is given an address
		uintptr(unsafe.Pointer(found)),  //nolint:gosec // as above
		0, 0)
	if code != 0 {
		return code
	}
	return nil
}
