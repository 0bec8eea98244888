package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// launch starts the server and waits until it accepts. What may pass by itself is tried again: shared memory that the
// last backends of a killed server still hold, and a free port that another program was faster to take.
func (p *Postgres) launch(ctx context.Context) error {
	p.config.Progress("starting Postgres")
	for {
		err := p.launchOnce(ctx)
		if err == nil {
			return p.remember()
		}
		switch {
		case strings.Contains(err.Error(), "is still in use"):
		case strings.Contains(err.Error(), "could not bind"):
			// A port that clients know, or that was asked for, stays.
			if state := p.State(); p.config.Port > 0 || !state.StartedAt.IsZero() {
				return fmt.Errorf("%w: %w", &PortTaken{Port: state.Port, Flag: p.config.PortFlag, Name: "Postgres"}, err)
			}
			if err := p.anotherPort(); err != nil {
				return err
			}
		default:
			return err
		}
		if waitErr := pause(ctx, 50*time.Millisecond); waitErr != nil {
			return errors.Join(waitErr, err)
		}
	}
}

// longestLog is where a start begins the log anew, in bytes.
const longestLog = 16 << 20

func (p *Postgres) launchOnce(ctx context.Context) error {
	log, err := os.OpenFile(p.LogFile(), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("opening the log of Postgres: %w", err)
	}
	defer log.Close() //nolint:errcheck // the server has its own descriptor
	start, err := log.Seek(0, io.SeekEnd)
	if err == nil && start > longestLog {
		start, err = 0, log.Truncate(0)
	}
	if err != nil {
		return fmt.Errorf("opening the log of Postgres: %w", err)
	}
	command := p.program(context.WithoutCancel(ctx), "postgres", p.arguments()...)
	command.Stdout, command.Stderr = log, log
	if p.config.Detached {
		command.SysProcAttr.Setpgid, command.SysProcAttr.Setsid = false, true
	}
	server, err := spawn(command)
	if err != nil {
		return err
	}
	go p.stay(server)
	p.mu.Lock()
	p.server, p.state.PID = server, server.pid
	p.mu.Unlock()
	if p.guard != nil {
		err = p.guard.add(server.pid, "INT")
	}
	if err == nil {
		err = p.awaitReady(ctx, server)
	}
	if err != nil {
		said := make([]byte, 4096)
		n, _ := log.ReadAt(said, start) // A short read is what we expect.
		return errors.Join(fmt.Errorf("starting Postgres: %w: %s", err, strings.TrimSpace(string(said[:n]))), p.end(server, nil))
	}
	return nil
}

// stay keeps the lock and the guard's pipe open for as long as the server runs, even when the caller drops p: the
// garbage collector closes files that nobody refers to, and the guard would take that for our death.
func (p *Postgres) stay(server *running) {
	<-server.done
	runtime.KeepAlive(p)
}

// arguments are the server's settings for development: little memory, and in the open, so that `ps` shows them. The
// password is not among them.
func (p *Postgres) arguments() []string {
	settings := []string{
		"listen_addresses=127.0.0.1",
		"port=" + strconv.Itoa(p.state.Port),
		// A list: quoted, so that a comma or a space in the path is part of it.
		`unix_socket_directories="` + strings.ReplaceAll(p.state.SocketDir, `"`, `""`) + `"`,
		"unix_socket_permissions=0700",
		"max_connections=" + strconv.Itoa(p.config.MaxConnections),
		"shared_buffers=32MB",
		"max_wal_size=256MB",
		"max_locks_per_transaction=256",
		"jit=off",
		"timezone=UTC",
		"log_timezone=UTC",
		"log_line_prefix=%m [%p] ",
		"password_encryption=scram-sha-256",
	}
	if p.config.Unsafe {
		settings = append(settings, "fsync=off", "full_page_writes=off", "wal_level=minimal", "max_wal_senders=0")
	}
	arguments := []string{"-D", p.config.data()}
	for _, setting := range settings {
		arguments = append(arguments, "-c", setting)
	}
	return arguments
}

// awaitReady waits until this very server (its pid file says so) accepts connections.
func (p *Postgres) awaitReady(ctx context.Context, server *running) error {
	path := filepath.Join(p.config.data(), pidName)
	var last error
	for {
		pid, status, err := readPidFile(path)
		switch {
		case err != nil:
			last = err
		case pid == server.pid && status == "ready":
			if last = Ping(ctx, p.State().Address()); last == nil {
				return nil
			}
		default:
			last = fmt.Errorf("it is %q", status)
		}
		if server.endedWithin(10*time.Millisecond, ctx.Done()) {
			return fmt.Errorf("it ended: %v", server.err) //nolint:errorlint // the log says why; the status is a detail
		}
		if ctx.Err() != nil {
			return errors.Join(context.Cause(ctx), last)
		}
	}
}

// readPidFile reads the postmaster's pid file: the process on the first line, what it is doing on the eighth (see
// src/include/utils/pidfile.h in PostgreSQL).
func readPidFile(path string) (pid int, status string, err error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return 0, "", fmt.Errorf("reading the pid file of Postgres: %w", err)
	}
	lines := strings.Split(string(content), "\n")
	if len(lines) >= 8 {
		status = strings.TrimSpace(lines[7])
	}
	if _, scanErr := fmt.Sscan(lines[0], &pid); scanErr != nil {
		pid = 0 // It is being written, or the machine crashed while it was.
	}
	return pid, status, nil
}

// remember writes the state, for second starts and other programs.
func (p *Postgres) remember() error {
	p.mu.Lock()
	p.state.StartedAt = time.Now().UTC()
	state := p.state
	p.mu.Unlock()
	if err := state.write(p.config.Dir); err != nil {
		return fmt.Errorf("writing the state of Postgres: %w", err)
	}
	return nil
}
