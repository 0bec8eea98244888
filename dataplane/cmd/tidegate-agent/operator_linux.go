package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"

	"tidegate.dev/dataplane/agent"
)

// peerOf asks the kernel who opened the other end.
func peerOf(connection *net.UnixConn) (by agent.Operator) {
	raw, err := connection.SyscallConn()
	if err != nil {
		return by
	}
	var peer *syscall.Ucred
	err = raw.Control(func(descriptor uintptr) {
		peer, err = syscall.GetsockoptUcred(int(descriptor), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err != nil || peer == nil {
		return by
	}
	by.UID, by.LoginUID = &peer.Uid, loginOf(peer.Pid)
	return by
}

// noLogin is what the kernel shows of a process that no login began.
const noLogin = 1<<32 - 1

// loginOf is the user who logged in, whom sudo does not change; nil: there is none, or it may not be seen.
func loginOf(pid int32) *uint32 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/loginuid", pid))
	if err != nil {
		return nil
	}
	uid, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32)
	if err != nil || uid == noLogin {
		return nil
	}
	login := uint32(uid)
	return &login
}
