package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is the unprivileged user that Postgres runs as when we are root. The nil account is ourselves.
type account struct {
	name     string
	uid, gid uint32
}

// serverAccount chooses the account: nil unless we are root, whom Postgres refuses. It must have an entry in the
// user database, which initdb looks up.
func serverAccount() (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		entry, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseInt(entry.Uid, 10, 64)
		gid, gidErr := strconv.ParseInt(entry.Gid, 10, 64)
		if uidErr != nil || gidErr != nil {
			continue
		}
		// macOS gives nobody the number -2, which the kernel reads as 32 bits without a sign.
		return &account{name: name, uid: uint32(uid), gid: uint32(gid)}, nil
	}
	return nil, errors.New("running as root, but Postgres refuses root and there is neither a user postgres nor nobody to run it as")
}

// wear makes a command run as the account.
func (a *account) wear(command *exec.Cmd) {
	if a != nil {
		command.SysProcAttr.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid}
	}
}

// own gives a file to the account.
func (a *account) own(path string) error {
	if a == nil {
		return nil
	}
	return os.Lchown(path, int(a.uid), int(a.gid))
}

// reach checks that the account may pass every folder on the way to path, and names the one that it may not.
func (a *account) reach(path string) error {
	if a == nil {
		return nil
	}
	for dir := filepath.Dir(canonicalPath(path)); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return fmt.Errorf("looking at the way to %s: %w", path, err)
		}
		if !a.mayPass(info) {
			return fmt.Errorf("user %s, as which Postgres runs, cannot reach %s: folder %s is closed to it (mode %04o)", a.name, path, dir, info.Mode().Perm())
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

func (a *account) mayPass(dir fs.FileInfo) bool {
	mode := dir.Mode().Perm()
	if owner, ok := dir.Sys().(*syscall.Stat_t); ok {
		if owner.Uid == a.uid {
			return mode&0o100 != 0
		}
		if owner.Gid == a.gid {
			return mode&0o010 != 0
		}
	}
	return mode&0o001 != 0
}

// withinReach gives an installation that the account can run: the same one, or a copy below dir when the original
// lies in a folder that is closed to the account, as a clone in root's home is.
func (a *account) withinReach(found Installation, dir string) (Installation, error) {
	err := a.reach(filepath.Join(found.Bin, "postgres"))
	if err == nil || found.Root == "" {
		return found, err
	}
	copied := found
	copied.Root = filepath.Join(dir, "postgresql-"+found.Version)
	copied.Bin = filepath.Join(copied.Root, "bin")
	if _, err := os.Stat(copied.Root); err == nil {
		return copied, nil
	}
	unfinished := copied.Root + ".new"
	if err := os.RemoveAll(unfinished); err != nil {
		return Installation{}, fmt.Errorf("removing an unfinished copy of PostgreSQL: %w", err)
	}
	if err := copyTree(found.Root, unfinished); err != nil {
		return Installation{}, fmt.Errorf("copying PostgreSQL where user %s can reach it: %w", a.name, err)
	}
	return copied, os.Rename(unfinished, copied.Root)
}

// copyTree copies folders, files and links, keeping who may execute what.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, relative)
		switch {
		case entry.IsDir():
			return makeDir(target, 0o755)
		case entry.Type() == fs.ModeSymlink:
			link, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return os.Symlink(link, target)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if err := os.WriteFile(target, content, 0o600); err != nil {
			return err
		}
		return os.Chmod(target, info.Mode().Perm()|0o444) // Public binaries, for another account to run.
	})
}
