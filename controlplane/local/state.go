package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// State is what Start writes down about the server that it runs, for a second start and for other programs. The
// password is not in it; it lies in a file of its own beside it.
type State struct {
	PID       int       `json:"pid"`        // PID is the postmaster's process; 0 once it was stopped.
	OwnerPID  int       `json:"owner_pid"`  // OwnerPID is the process that started it and will stop it.
	Port      int       `json:"port"`       // Port on 127.0.0.1.
	SocketDir string    `json:"socket_dir"` // SocketDir is the folder of the Unix socket.
	Database  string    `json:"database"`   // Database is the one to connect to.
	Version   string    `json:"version"`    // Version of the server, such as "15.13".
	StartedAt time.Time `json:"started_at"` // StartedAt is when it accepted the first time.

	password string
}

// userName is the database's superuser, as which all of the development system connects.
const userName = "tidegate"

// The names below Config.Dir.
const (
	stateName    = "state.json"
	passwordName = "password"
	lockName     = "lock"
	dataName     = "data"
	logName      = "postgres.log"
	pidName      = "postmaster.pid"
)

// ReadState reads the state of the server that Start runs in dir, and its password. The error is os.ErrNotExist when
// none runs there. A state may be stale when its owner was killed.
func ReadState(dir string) (State, error) {
	state, err := readState(dir)
	if err == nil && state.PID == 0 {
		err = fmt.Errorf("reading the state of Postgres: it was stopped: %w", os.ErrNotExist)
	}
	return state, err
}

// readState reads the state of a stopped server as well, of which it remembers the port.
func readState(dir string) (State, error) {
	var state State
	content, err := os.ReadFile(filepath.Join(dir, stateName))
	if err != nil {
		return state, fmt.Errorf("reading the state of Postgres: %w", err)
	}
	if err := json.Unmarshal(content, &state); err != nil {
		return state, fmt.Errorf("parsing the state of Postgres: %w", err)
	}
	password, err := os.ReadFile(filepath.Join(dir, passwordName))
	if err != nil {
		return state, fmt.Errorf("reading the password of Postgres: %w", err)
	}
	state.password = strings.TrimSpace(string(password))
	return state, nil
}

// URL is how to connect over TCP. It contains the password: pass it in the environment, never as an argument.
func (s State) URL() string {
	address := url.URL{
		Scheme: "postgres", User: url.UserPassword(userName, s.password),
		Host: s.Address(), Path: "/" + s.Database, RawQuery: "sslmode=disable",
	}
	return address.String()
}

// SocketURL is how to connect over the Unix socket. It contains the password as well.
func (s State) SocketURL() string {
	query := url.Values{"host": {s.SocketDir}, "port": {strconv.Itoa(s.Port)}, "sslmode": {"disable"}}
	address := url.URL{
		Scheme: "postgres", User: url.UserPassword(userName, s.password),
		Path: "/" + s.Database, RawQuery: query.Encode(),
	}
	return address.String()
}

// String leaves the password out, so that a log that prints a state does not tell it.
func (s State) String() string {
	return fmt.Sprintf("Postgres %s (process %d) on %s", s.Version, s.PID, s.Address())
}

// Address is the server's host and port, for Ping.
func (s State) Address() string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port))
}

func (s State) write(dir string) error {
	content, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the state of Postgres: %w", err)
	}
	return writePrivate(filepath.Join(dir, stateName), append(content, '\n'))
}

// writePrivate replaces a file in one step, readable by the owner alone.
func writePrivate(path string, content []byte) error {
	unfinished := path + ".new"
	if err := os.WriteFile(unfinished, content, 0o600); err != nil {
		return err
	}
	return os.Rename(unfinished, path)
}

// tryLock takes the lock file without waiting; the kernel releases it when the process ends, however it ends. The
// file is nil when another holds it.
func tryLock(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the lock file: %w", err)
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return file, nil
	}
	_ = file.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, nil
	}
	return nil, fmt.Errorf("locking %s: %w", path, err)
}

// unlock gives the lock back. Closing the file alone would not do it at once: a child that another goroutine is just
// starting holds a copy of every open file until it runs its own program.
func unlock(file *os.File) {
	_ = syscall.Flock(int(file.Fd()), syscall.LOCK_UN)
	_ = file.Close()
}

// Lock takes the lock file at path, waiting for it until the context ends. The lock ends with release or with the
// process.
func Lock(ctx context.Context, path string) (release func(), err error) {
	for {
		file, err := tryLock(path)
		if err != nil {
			return nil, err
		}
		if file != nil {
			return func() { unlock(file) }, nil
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return nil, fmt.Errorf("waiting for the lock %s: %w", path, err)
		}
	}
}

// pause waits between two looks at something that cannot be waited for.
func pause(ctx context.Context, interval time.Duration) error {
	timer := time.NewTimer(interval)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
