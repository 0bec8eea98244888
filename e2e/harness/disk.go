package harness

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

func (s *Stack) diskPath() string { return filepath.Join(s.dir, "postgres") }

// mountDisk mounts a small file system in memory where Postgres will keep everything.
func (s *Stack) mountDisk(mebibytes int) {
	s.t.Helper()
	if err := os.Mkdir(s.diskPath(), 0o711); err != nil { //nolint:gosec // Postgres's account must be able to pass
		s.t.Fatalf("making the folder of the disk: %v", err)
	}
	err := syscall.Mount("tmpfs", s.diskPath(), "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, fmt.Sprintf("size=%dm,mode=0711", mebibytes))
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
		s.t.Skipf("a disk that can be full needs the right to mount one, which root has: %v", err)
	}
	if err != nil {
		s.t.Fatalf("mounting a disk: %v", err)
	}
	s.t.Cleanup(func() {
		if err := syscall.Unmount(s.diskPath(), syscall.MNT_DETACH); err != nil {
			s.t.Errorf("unmounting the disk: %v", err)
		}
	})
}

func (s *Stack) ballastPath() string { return filepath.Join(s.diskPath(), "ballast") }

// FillDisk leaves no space on the disk of Postgres.
func (s *Stack) FillDisk() {
	s.t.Helper()
	ballast, err := os.OpenFile(s.ballastPath(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		s.t.Fatalf("filling the disk: %v", err)
	}
	defer func() { _ = ballast.Close() }()
	for block := make([]byte, 1<<20); len(block) > 0; {
		_, err := ballast.Write(block)
		switch {
		case errors.Is(err, syscall.ENOSPC):
			block = block[:len(block)/2]
		case err != nil:
			s.t.Fatalf("filling the disk: %v", err)
		}
	}
}

// FreeDisk gives the space back.
func (s *Stack) FreeDisk() {
	s.t.Helper()
	if err := os.Remove(s.ballastPath()); err != nil {
		s.t.Fatalf("freeing the disk: %v", err)
	}
}
