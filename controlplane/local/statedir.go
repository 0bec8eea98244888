package local

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
)

// rootStateDir holds the development state of root's clones. Postgres refuses to run as root, and the unprivileged
// account it runs as usually cannot reach a clone in root's home.
const rootStateDir = "/var/lib/tidegate-dev"

// StateDir says where the development state of a clone of the repository lies: .tidegate inside the clone, or, for
// root, a folder below /var/lib/tidegate-dev that is named after the clone's path. It creates nothing; see MakeDir.
func StateDir(clone string) string {
	return stateDir(clone, os.Geteuid() == 0)
}

func stateDir(clone string, root bool) string {
	clone = canonicalPath(clone)
	if root {
		return filepath.Join(rootStateDir, shortHash(clone))
	}
	return filepath.Join(clone, ".tidegate")
}

// PackageDir is the folder of a clone where FetchPackage keeps Postgres when the machine has none. It belongs to the
// clone for root as well, so that a clean-up of the clone removes it; Start copies it where Postgres can reach it.
func PackageDir(clone string) string {
	return filepath.Join(canonicalPath(clone), ".tidegate", "postgres-package")
}

// MakeDir creates a state folder and its missing parents: private to the user, but for root searchable by all, since
// the account that Postgres runs as must pass through. What is secret inside has a mode of its own.
func MakeDir(dir string) error {
	if os.Geteuid() == 0 {
		return makeDir(dir, 0o711)
	}
	return makeDir(dir, 0o700)
}

// makeDir is os.MkdirAll with exactly this mode, whatever the umask.
func makeDir(dir string, mode os.FileMode) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	if parent := filepath.Dir(dir); parent != dir {
		if err := makeDir(parent, mode); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, mode); err != nil {
		if errors.Is(err, os.ErrExist) {
			return nil // Another process was faster.
		}
		return err
	}
	return os.Chmod(dir, mode)
}

// canonicalPath is absolute and without symlinks where the path exists, so that one folder has one name.
func canonicalPath(path string) string {
	if absolute, err := filepath.Abs(path); err == nil {
		path = absolute
	}
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		path = resolved
	}
	return path
}

// shortHash is 12 hexadecimal digits: enough to tell a machine's clones apart, short enough for socket paths.
func shortHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:6])
}
