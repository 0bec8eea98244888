package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
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

// awaitState is lockState for a successor, whose predecessor is letting go.
func awaitState(ctx context.Context, dir string) (*os.File, error) {
	ctx, cancel := context.WithTimeout(ctx, stateTimeout)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		lock, err := lockState(dir)
		if err == nil {
			return lock, nil
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-tick.C:
		}
	}
}

// stateTimeout is how long the folder may stay another's that has said that it is free.
const stateTimeout = 10 * time.Second

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
