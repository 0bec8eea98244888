package local

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"time"
)

// Config says which Postgres to run and how. Only Dir is required.
type Config struct {
	// Dir holds everything of the server: data, password, log, state, lock, socket. Start creates it. The same Dir
	// gives the same data again.
	Dir string
	// DatabaseURL names an existing server (the variable DATABASE_URL). When set, nothing is started or stopped, and
	// the other fields do not matter.
	DatabaseURL string
	// Installation is what to run. Zero: Find looks for it, of the version that existing data needs.
	Installation Installation
	// PackageDir is where Find looks last; see PackageDir.
	PackageDir string
	// Port on 127.0.0.1. 0: the port of the last time when it is still free, else any.
	Port int
	// PortFlag is named in the error when Port is taken. Default: --postgres-port.
	PortFlag string
	// SocketDir is the folder of the Unix socket. Default: "run" inside Dir, or a folder in /tmp when that path is
	// longer than a socket's address can be.
	SocketDir string
	// Database is created when the data is. Default: tidegate.
	Database string
	// MaxConnections the server allows. Default: 100.
	MaxConnections int
	// Unsafe keeps the server from syncing to disk: faster, and what was committed survives a crash of the server but
	// not of the machine. For tests.
	Unsafe bool
	// StartTimeout bounds a start, with the creation of the data and recovery after a crash. Default: one minute.
	StartTimeout time.Duration
	// StopTimeout bounds the fast shutdown, after which comes the immediate one. Default: 15 seconds.
	StopTimeout time.Duration
	// Detached makes the server outlive this process: the caller sees to its end, and does not Start the same Dir
	// before. For a server that several test binaries share.
	Detached bool
	// Progress is told what takes time, in a few words. It may be nil, and is called from Start and Restart.
	Progress func(step string)
}

// databaseName is what may stand in SQL and in a URL without quoting.
var databaseName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

func (c Config) withDefaults() Config {
	if c.Dir != "" {
		c.Dir = canonicalPath(c.Dir)
	}
	if c.PortFlag == "" {
		c.PortFlag = "--postgres-port"
	}
	if c.Database == "" {
		c.Database = "tidegate"
	}
	if c.MaxConnections == 0 {
		c.MaxConnections = 100
	}
	if c.StartTimeout == 0 {
		c.StartTimeout = time.Minute
	}
	if c.StopTimeout == 0 {
		c.StopTimeout = 15 * time.Second
	}
	if c.Progress == nil {
		c.Progress = func(string) {}
	}
	return c
}

func (c Config) validate() error {
	if c.Dir == "" {
		return errors.New("running Postgres: Dir is empty")
	}
	if !databaseName.MatchString(c.Database) {
		return fmt.Errorf("running Postgres: %q cannot be the name of a database: use a-z, 0-9 and _", c.Database)
	}
	if c.Port < 0 || c.Port > 65535 {
		return fmt.Errorf("running Postgres: %d is not a port", c.Port)
	}
	return nil
}

func (c Config) data() string { return filepath.Join(c.Dir, dataName) }
