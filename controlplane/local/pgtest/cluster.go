package pgtest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"tidegate.dev/controlplane/local"
)

// cluster is the server that test binaries share. No process is its parent: the first binary that needs it starts it,
// each one that uses it signs a list, and a janitor, a small shell, stops it and removes its folder when every binary
// on the list has ended, however it ended, and none has come for a while.
//
//	base/lock                 held while looking for the server and while starting it
//	base/current              the name of the instance that is in use
//	base/<instance>/users/    one empty file a test binary, named after its process
//	base/<instance>/closing   the janitor is about to stop it; take another
//	base/<instance>/janitor   the janitor's process
//	base/<instance>/server/   the folder of package local
//
// A binary signs before it looks for the closing mark, and the janitor makes the mark before it looks at the list
// again, so one of them always sees the other. At worst a binary starts an instance that it could have shared.
type cluster struct {
	base       string
	idle       time.Duration // how long the server waits for another binary
	packageDir string
}

const (
	currentName   = "current"
	usersName     = "users"
	closingName   = "closing"
	janitorName   = "janitor"
	serverName    = "server"
	privatePrefix = "private-"
)

func defaultCluster() cluster {
	shared := cluster{
		base: filepath.Join(local.TempRoot(), fmt.Sprintf("tidegate-pg-%d", os.Geteuid())),
		idle: 20 * time.Second,
	}
	if clone := cloneRoot(); clone != "" {
		shared.packageDir = local.PackageDir(clone)
	}
	return shared
}

func (c cluster) config(dir string) local.Config {
	return local.Config{
		Dir:            filepath.Join(dir, serverName),
		PackageDir:     c.packageDir,
		Database:       "postgres",
		MaxConnections: 200,
		Unsafe:         true,
		Detached:       true,
	}
}

// makeBase makes the folder, or checks that it is ours: its name can be guessed, and anybody may write in /tmp.
func (c cluster) makeBase() error {
	if err := local.MakeDir(c.base); err != nil {
		return fmt.Errorf("making the folder: %w", err)
	}
	info, err := os.Lstat(c.base)
	if err != nil {
		return fmt.Errorf("looking at the folder: %w", err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || !ok || int(owner.Uid) != os.Geteuid() || info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s is not a folder that only we can write", c.base)
	}
	return nil
}

// url gives the address of the shared server and keeps the server for as long as this process lives.
func (c cluster) url(ctx context.Context) (string, error) {
	if err := c.makeBase(); err != nil {
		return "", err
	}
	release, err := local.Lock(ctx, filepath.Join(c.base, "lock"))
	if err != nil {
		return "", err
	}
	defer release()
	current, err := os.ReadFile(filepath.Join(c.base, currentName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("reading which server is in use: %w", err)
	}
	if len(current) > 0 {
		if state, ok := join(ctx, filepath.Join(c.base, filepath.Base(string(current)))); ok {
			return state.URL(), nil
		}
	}
	if err := c.sweep(ctx); err != nil {
		return "", err
	}
	return c.begin(ctx)
}

// join signs the list of an instance and says whether it may be used.
func join(ctx context.Context, instance string) (local.State, bool) {
	if sign(instance) != nil {
		return local.State{}, false
	}
	if _, err := os.Stat(filepath.Join(instance, closingName)); !errors.Is(err, fs.ErrNotExist) {
		return local.State{}, false
	}
	state, err := local.ReadState(filepath.Join(instance, serverName))
	if err != nil {
		return local.State{}, false
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return state, local.Ping(ctx, state.Address()) == nil
}

func sign(instance string) error {
	return os.WriteFile(filepath.Join(instance, usersName, strconv.Itoa(os.Getpid())), nil, 0o600)
}

// begin starts an instance, its janitor first: whatever happens to us from then on, somebody cleans up.
func (c cluster) begin(ctx context.Context) (string, error) {
	instance, err := local.TempDir(c.base, "")
	if err != nil {
		return "", fmt.Errorf("making a folder: %w", err)
	}
	if err := os.Mkdir(filepath.Join(instance, usersName), 0o700); err != nil {
		return "", fmt.Errorf("making a folder: %w", err)
	}
	if err := sign(instance); err != nil {
		return "", fmt.Errorf("signing the list of users: %w", err)
	}
	if err := c.startJanitor(instance); err != nil {
		return "", err
	}
	postgres, err := local.Start(ctx, c.config(instance))
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(c.base, currentName), []byte(filepath.Base(instance)), 0o600); err != nil {
		return "", fmt.Errorf("writing which server is in use: %w", err)
	}
	return postgres.URL(), nil
}

// janitorScript takes the instance's folder, the seconds between two looks, and how many looks without a user in
// sight make an end. Where /proc tells, it makes sure that the process of the pid file is the server. The server is told to shut down fast (INT), then at once (QUIT).
const janitorScript = `
trap '' HUP INT TERM
instance=$1 interval=$2 patience=$3
[ -d "$instance/users" ] || exit 1
used() {
  for file in "$instance"/users/*; do
    pid=${file##*/}
    [ "$pid" = '*' ] && continue
    kill -s 0 "$pid" && return 0
    rm -f "$file"
  done
  return 1
}
ours() {
  [ ! -e /proc/self/cwd ] || [ "/proc/$server/cwd" -ef "$instance/server/data" ]
}
unused=0
while :; do
  sleep "$interval"
  if used; then unused=0; continue; fi
  unused=$((unused + 1))
  [ "$unused" -ge "$patience" ] || continue
  : > "$instance/closing"
  used || break
  rm -f "$instance/closing"
  unused=0
done
pidfile=$instance/server/data/postmaster.pid
for signal in INT QUIT KILL; do
  turns=50
  while [ "$turns" -gt 0 ] && read -r server < "$pidfile"; do
    kill -s 0 "$server" && ours || break 2
    [ "$turns" -eq 50 ] && kill -s "$signal" "$server"
    turns=$((turns - 1))
    sleep 0.1
  done
done
rm -rf "$instance"
`

// startJanitor runs it in a session of its own, so that Ctrl-C does not reach it, and without our output, for which
// `go test` would wait.
func (c cluster) startJanitor(instance string) error {
	const looks = 20
	interval := strconv.FormatFloat(c.idle.Seconds()/looks, 'f', 3, 64)
	janitor := exec.Command("/bin/sh", "-c", janitorScript, "tidegate-pgtest-janitor", instance, interval, strconv.Itoa(looks)) //nolint:noctx // it outlives us
	janitor.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	janitor.Dir = "/"
	if err := janitor.Start(); err != nil {
		return fmt.Errorf("starting the janitor: %w", err)
	}
	go janitor.Wait() //nolint:errcheck // It most often outlives us; if not, it must not stay a zombie.
	pid := strconv.Itoa(janitor.Process.Pid)
	if err := os.WriteFile(filepath.Join(instance, janitorName), []byte(pid), 0o600); err != nil {
		return fmt.Errorf("writing the janitor's process: %w", err)
	}
	return nil
}

// sweep removes what no janitor cares for any more: instances whose janitor was killed, and the private servers of
// test binaries that were.
func (c cluster) sweep(ctx context.Context) error {
	entries, err := os.ReadDir(c.base)
	if err != nil {
		return fmt.Errorf("looking for leftovers: %w", err)
	}
	for _, entry := range entries {
		dir := filepath.Join(c.base, entry.Name())
		if !entry.IsDir() || alive(keeper(dir)) {
			continue
		}
		if err := local.EndOrphan(ctx, filepath.Join(dir, serverName), time.Second); err != nil {
			return err
		}
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("removing leftovers: %w", err)
		}
	}
	return nil
}

// keeper is the process that removes a folder of base: the janitor, or the test binary of a private server; 0 when
// that cannot be told.
func keeper(dir string) int {
	text, private := strings.CutPrefix(filepath.Base(dir), privatePrefix)
	if private {
		text, _, _ = strings.Cut(text, "-")
	} else {
		content, err := os.ReadFile(filepath.Join(dir, janitorName))
		if err != nil {
			return 0
		}
		text = string(content)
	}
	pid, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return pid
}

func alive(pid int) bool {
	return pid > 0 && !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}
