package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// ErrNotOwner is the error of touching a server that another process runs, or that DATABASE_URL named.
var ErrNotOwner = errors.New("this Postgres belongs to another process")

// Postgres is a running server. Its methods may be called from several goroutines.
type Postgres struct {
	// Set once by Start.
	config       Config
	reused       bool
	account      *account
	installation Installation
	guard        *guard // nil when detached or not ours

	turn sync.Mutex // one stop, restart or disturbance at a time; guards what follows
	lock *os.File   // held for as long as the server is ours; nil before and after

	mu     sync.Mutex // guards what follows
	state  State
	server *running // the latest postmaster; nil when not ours
	// held keeps others from the port until it is listened on, which may be seconds later; nil for a port that was asked for.
	held *HeldPorts
}

// Start runs the server of config.Dir and returns when it accepts connections. It creates the data the first time,
// recovers after a crash of the server or of its last owner, and listens on 127.0.0.1 and a Unix socket only, with a
// random password. The context bounds the start, not the server's life; Stop ends that, and so does the end of this
// process unless config.Detached.
//
// When another process already runs the server of config.Dir, the result is that server (Reused is true), which
// Stop leaves alone. A taken port is a *PortTaken, a machine without PostgreSQL a *NotFoundError.
func Start(ctx context.Context, config Config) (*Postgres, error) {
	config = config.withDefaults()
	p := &Postgres{config: config}
	if config.DatabaseURL != "" {
		p.reused = true
		return p, nil
	}
	if err := config.validate(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, config.StartTimeout, fmt.Errorf("Postgres did not start within %v", config.StartTimeout))
	defer cancel()
	if err := MakeDir(config.Dir); err != nil {
		return nil, fmt.Errorf("making the folder of Postgres: %w", err)
	}
	if err := p.lockOrReuse(ctx); err != nil {
		return nil, err
	}
	if p.reused {
		return p, nil
	}
	if err := p.start(ctx); err != nil {
		return nil, errors.Join(err, p.release())
	}
	return p, nil
}

// lockOrReuse takes the lock of the folder, or finds the server of the process that holds it. That process may be
// about to start or to stop it, so look again until one is true.
func (p *Postgres) lockOrReuse(ctx context.Context) (err error) {
	path := filepath.Join(p.config.Dir, lockName)
	for {
		if p.lock, err = tryLock(path); err != nil || p.lock != nil {
			return err
		}
		state, stateErr := ReadState(p.config.Dir)
		if stateErr == nil {
			stateErr = Ping(ctx, state.Address())
		}
		if stateErr == nil {
			p.state, p.reused = state, true
			return nil
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return fmt.Errorf("another process (%d) holds %s, but its Postgres does not answer: %w", state.OwnerPID, path, errors.Join(err, stateErr))
		}
	}
}

// start does the rest of Start under the lock.
func (p *Postgres) start(ctx context.Context) (err error) {
	if p.account, err = serverAccount(); err != nil {
		return err
	}
	if err := p.account.reach(p.config.data()); err != nil {
		return err
	}
	if err := p.findInstallation(ctx); err != nil {
		return err
	}
	// A server without owner is restarted rather than adopted: the guard of its dead owner is about to stop it.
	if err := EndOrphan(ctx, p.config.Dir, p.config.StopTimeout); err != nil {
		return err
	}
	p.state = State{OwnerPID: os.Getpid(), Port: p.config.Port, Database: p.config.Database, Version: p.installation.Version}
	if err := p.choosePort(); err != nil {
		return err
	}
	if err := p.createData(ctx); err != nil {
		return err
	}
	if err := p.readPassword(); err != nil {
		return err
	}
	if err := p.makeSocketDir(); err != nil {
		return err
	}
	if !p.config.Detached {
		if p.guard, err = newGuard(); err != nil {
			return err
		}
	}
	return p.launch(ctx)
}

func (p *Postgres) findInstallation(ctx context.Context) error {
	major, err := dataMajor(p.config.data())
	if err != nil {
		return err
	}
	found := p.config.Installation
	if found.Bin == "" {
		if found, err = Find(ctx, Search{PackageDir: p.config.PackageDir, Major: major}); err != nil {
			return err
		}
	}
	if major > 0 && found.Major != major {
		return fmt.Errorf("the data in %s is of PostgreSQL %d, but %s is version %s", p.config.data(), major, found.Bin, found.Version)
	}
	p.installation, err = p.account.withinReach(found, p.config.Dir)
	return err
}

// URL is how to connect: over TCP, with the password. Pass it on in the environment, never as an argument.
func (p *Postgres) URL() string {
	if p.config.DatabaseURL != "" {
		return p.config.DatabaseURL
	}
	return p.State().URL()
}

// State is what is known of the server; zero for one that DATABASE_URL named.
func (p *Postgres) State() State {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state
}

// Reused says that another process owns the server: one that another Start runs, or that DATABASE_URL named.
func (p *Postgres) Reused() bool { return p.reused }

// LogFile is where the server writes its log.
func (p *Postgres) LogFile() string { return filepath.Join(p.config.Dir, logName) }
