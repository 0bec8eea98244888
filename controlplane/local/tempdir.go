package local

import (
	"os"
	"syscall"
)

// memoryDir is a folder in memory on most Linux machines. Creating a database there takes half the time.
const memoryDir = "/dev/shm"

// memoryWanted is what must be free in memoryDir before tests use it: containers often get 64 MB.
const memoryWanted = 4 << 30

// TempRoot is the folder for servers that do not last: in memory where there is plenty of it, else the usual one. For
// root it is one that the account that Postgres runs as can reach, which TMPDIR may not be.
func TempRoot() string {
	var memory syscall.Statfs_t
	err := syscall.Statfs(memoryDir, &memory)
	if err == nil && uint64(memory.Bavail)*uint64(memory.Bsize) >= memoryWanted && writable(memoryDir) { //nolint:unconvert // the types differ by system
		return memoryDir
	}
	if os.Geteuid() == 0 {
		return "/tmp"
	}
	return os.TempDir()
}

// writable says whether we may make files there (W_OK and X_OK of access(2)).
func writable(dir string) bool {
	return syscall.Access(dir, 0o3) == nil
}

// TempDir makes a new folder in parent (TempRoot, if that is empty) for a server that does not last, where the
// account that Postgres runs as can reach it; what os.MkdirTemp and testing.T.TempDir make for root is closed to it.
// The caller removes it.
func TempDir(parent, pattern string) (string, error) {
	if parent == "" {
		parent = TempRoot()
	}
	dir, err := os.MkdirTemp(parent, pattern)
	if err == nil && os.Geteuid() == 0 {
		err = os.Chmod(dir, 0o711) // Postgres's account must pass through, nobody may list.
	}
	return dir, err
}
