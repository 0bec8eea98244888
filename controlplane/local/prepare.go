package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// EndOrphan makes sure that no server is left in the folder dir (Config.Dir) after its owner was killed, and that a
// pid file whose number now belongs to another program does not keep the next one from starting. The server gets
// patience to shut down fast before it is killed. Only for a folder whose lock is free, or a detached server.
func EndOrphan(ctx context.Context, dir string, patience time.Duration) error {
	data := filepath.Join(dir, dataName)
	path := filepath.Join(data, pidName)
	pid, _, err := readPidFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for started := time.Now(); isPostmaster(pid, data); {
		if time.Since(started) < patience {
			err = errors.Join(signalProcess(pid, syscall.SIGCONT), signalProcess(pid, syscall.SIGINT))
		} else {
			err = killFamily(pid)
		}
		if err != nil {
			return err
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return fmt.Errorf("stopping the Postgres that a killed process left behind: %w", err)
		}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing the pid file of a dead Postgres: %w", err)
	}
	return nil
}

func (p *Postgres) readPassword() error {
	password, err := os.ReadFile(filepath.Join(p.config.Dir, passwordName))
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s is gone; without it the data in %s cannot be opened: put it back, or delete %s to start over", filepath.Join(p.config.Dir, passwordName), p.config.data(), p.config.Dir)
	}
	if err != nil {
		return fmt.Errorf("reading the password of Postgres: %w", err)
	}
	p.state.password = string(password[:max(len(password)-1, 0)])
	return nil
}

// socketPathLimit is what fits a socket's address on macOS (104 bytes with the end), less the file's name.
const socketPathLimit = 103 - len("/.s.PGSQL.65535")

// makeSocketDir makes the folder of the socket, for the server's account alone, and clears it of the sockets of a
// server that was killed.
func (p *Postgres) makeSocketDir() error {
	dir := p.config.SocketDir
	if dir == "" {
		dir = filepath.Join(p.config.Dir, "run")
	}
	if dir = canonicalPath(dir); len(dir) > socketPathLimit && p.config.SocketDir == "" {
		dir = filepath.Join(canonicalPath("/tmp"), "tidegate-"+shortHash(p.config.Dir))
	}
	if len(dir) > socketPathLimit {
		return fmt.Errorf("the socket folder %s is too long: a socket's path has at most 103 bytes", dir)
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("making the socket folder: %w", err)
	} else if err == nil {
		if err := p.account.own(dir); err != nil {
			return fmt.Errorf("giving the socket folder to Postgres: %w", err)
		}
	}
	if err := p.checkOwner(dir); err != nil {
		return err
	}
	p.state.SocketDir = dir
	return p.removeSockets()
}

// checkOwner refuses a folder in /tmp that another user put in our way.
func (p *Postgres) checkOwner(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("looking at the socket folder: %w", err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	expected := os.Geteuid()
	if p.account != nil {
		expected = int(p.account.uid)
	}
	if !info.IsDir() || !ok || int(owner.Uid) != expected {
		return fmt.Errorf("the socket folder %s is not a folder of the user that runs Postgres", dir)
	}
	return nil
}

// removeSockets leaves foreign folders alone: a SocketDir that was given may hold other servers' sockets.
func (p *Postgres) removeSockets() error {
	if p.config.SocketDir != "" {
		return nil
	}
	sockets, err := filepath.Glob(filepath.Join(p.state.SocketDir, ".s.PGSQL.*"))
	if err != nil {
		return fmt.Errorf("looking for old sockets: %w", err)
	}
	for _, socket := range sockets {
		if err := os.Remove(socket); err != nil {
			return fmt.Errorf("removing an old socket: %w", err)
		}
	}
	return nil
}

// choosePort settles on the port: the one that was asked for, else the last one, else any.
func (p *Postgres) choosePort() error {
	if p.config.Port > 0 {
		return CheckPort("127.0.0.1", p.config.Port, "Postgres", p.config.PortFlag)
	}
	last, err := readState(p.config.Dir) // An unreadable one says nothing; it is about to be replaced.
	if err == nil && last.Port > 0 {
		held := new(HeldPorts)
		if held.try(last.Port); len(held.Ports) == 1 {
			return p.takePort(held)
		}
	}
	return p.anotherPort()
}

func (p *Postgres) anotherPort() error {
	held, err := HoldPorts(1)
	if err != nil {
		return err
	}
	return p.takePort(held)
}

// takePort lets go of the port before.
func (p *Postgres) takePort(held *HeldPorts) error {
	p.mu.Lock()
	before := p.held
	p.held, p.state.Port = held, held.Ports[0]
	p.mu.Unlock()
	if before == nil {
		return nil
	}
	return before.Release()
}
