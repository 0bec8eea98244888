//go:build linux && (amd64 || arm64)

package http1

import (
	"syscall"
	"unsafe"
)

// receive and send are recvfrom(2) and sendto(2) on a socket that is connected and never waits. read(2) and write(2) do the same, but
// go through what is needed for files first. An error is 0 for none.
//
// The runtime is not told of the call (syscall.Syscall would), since it never waits: what it costs is copying, and the way of a packet
// through the kernel. The runtime could give the processor away meanwhile, for which there is no time in so few microseconds.

func receive(fd uintptr, p []byte) (n int, err syscall.Errno) {
	return socketCall(syscall.SYS_RECVFROM, fd, p, syscall.MSG_DONTWAIT)
}

func send(fd uintptr, p []byte) (n int, err syscall.Errno) {
	return socketCall(syscall.SYS_SENDTO, fd, p, syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL)
}

func socketCall(call, fd uintptr, p []byte, flags uintptr) (n int, err syscall.Errno) {
	if len(p) == 0 {
		return 0, 0
	}
	//nolint:gosec // as the standard library does; the pointer is used within the call only
	done, _, err := syscall.RawSyscall6(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), flags, 0, 0)
	if err != 0 {
		return 0, err
	}
	return int(done), 0
}
