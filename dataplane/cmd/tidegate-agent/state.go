package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// lockState makes the agent's folder and takes it for this process alone. The file is to be kept open.
func lockState(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the state folder (--state-dir): %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the state folder (--state-dir): %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("another agent uses the state folder %s; choose another with --state-dir", dir)
		}
		return nil, fmt.Errorf("locking the state folder %s: %w", dir, err)
	}
	return lock, nil
}

// openAccessLog opens the file of the access log; nil: there is none.
func openAccessLog(path string) (*os.File, error) {
	switch path {
	case "":
		return nil, nil //nolint:nilnil // no access log is not an error
	case "-":
		return os.Stdout, nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the access log (--access-log): %w", err)
	}
	return f, nil
}
