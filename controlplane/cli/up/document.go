package up

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"tidegate.dev/controlplane/cli/login"
	"tidegate.dev/controlplane/local"
)

// Document is what there is to know about a running stack: what `-o json` prints, and what the state file keeps.
type Document struct {
	Admin        string `json:"admin"`
	AgentAddress string `json:"agent_address"`
	Ops          string `json:"ops"`
	TokenFile    string `json:"token_file"`
	ContextFile  string `json:"context_file"`
	StateDir     string `json:"state_dir"`
	LogDir       string `json:"log_dir"`
	DatabaseURL  string `json:"database_url"`
	// Replicas are all of the control plane, the first included.
	Replicas []Replica      `json:"replicas"`
	Agents   []Agent        `json:"agents"`
	Demo     *Demo          `json:"demo,omitempty"`
	PIDs     map[string]int `json:"pids"`
	// Owner is the process that runs it.
	Owner int `json:"owner_pid"`
}

// Replica is one replica of the control plane.
type Replica struct {
	Name         string `json:"name"`
	Admin        string `json:"admin"`
	AgentAddress string `json:"agent_address"`
	Ops          string `json:"ops"`
	PID          int    `json:"pid"`
}

// Agent is one agent of the stack.
type Agent struct {
	Name  string `json:"name"`
	Proxy string `json:"proxy"`
	TLS   string `json:"tls"`
	Ops   string `json:"ops"`
	PID   int    `json:"pid"`
}

// Demo is what the demo has.
type Demo struct {
	// Upstreams are the URLs of the demo's upstreams.
	Upstreams []string `json:"upstreams"`
	// Key is an API key of the demo's consumer; empty if that is gone.
	Key string `json:"key"`
	// Curl is a command that sends a request through the first agent.
	Curl string `json:"curl"`
	// Certificate is the file with the certificate that the TLS listeners show, to trust it in a client.
	Certificate string `json:"certificate"`
}

// upstream is one demo upstream.
type upstream struct {
	Name string `json:"name"`
	URL  string `json:"url"`
}

const (
	stateName = "up.json"
	lockName  = "up.lock"
)

// write keeps the document for a second `up` and for other programs. It holds the key and the database's password.
func (d *Document) write(c *Config) error {
	encoded, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the state: %w", err)
	}
	return login.WritePrivate(c.file(stateName), append(encoded, '\n'))
}

// readDocument reads what a running stack has written; nil if there is none.
func readDocument(c *Config) (*Document, error) {
	content, err := os.ReadFile(c.file(stateName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // none runs, which is no error
	}
	if err != nil {
		return nil, fmt.Errorf("reading the state: %w", err)
	}
	d := &Document{}
	if err := json.Unmarshal(content, d); err != nil {
		return nil, fmt.Errorf("reading the state %s: %w", c.file(stateName), err)
	}
	return d, nil
}

// ErrNotRunning says that no stack runs with a state folder.
var ErrNotRunning = errors.New("none runs; start one with: tidegate up")

// Running finds the stack that another process runs with the same state folder; ErrNotRunning if there is none, or none that
// is ready.
func Running(ctx context.Context, c Config) (*Document, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	if _, err := os.Stat(c.file(lockName)); err != nil {
		return nil, ErrNotRunning
	}
	if release, err := tryLock(ctx, &c); err == nil {
		release()
		return nil, ErrNotRunning
	}
	d, err := readDocument(&c)
	if err == nil && d == nil {
		return nil, ErrNotRunning
	}
	return d, err
}

// tryLock takes the state folder for this process, if no other has it.
func tryLock(ctx context.Context, c *Config) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	return local.Lock(ctx, c.file(lockName))
}

// lockWait bounds the wait for another process that starts or stops with the same state folder.
const lockWait = 3 * time.Minute

// own takes the state folder for this process, or finds the stack that another runs with it.
func own(ctx context.Context, c *Config) (release func(), running *Document, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, lockWait, errors.New("another 'tidegate up' holds the state folder but does not become ready"))
	defer cancel()
	for said := false; ; {
		release, err := tryLock(ctx, c)
		if err == nil {
			return release, nil, nil
		}
		if ctx.Err() != nil {
			return nil, nil, fmt.Errorf("waiting for %s: %w", c.StateDir, context.Cause(ctx))
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			return nil, nil, err
		}
		if d, err := readDocument(c); err == nil && d != nil && local.HTTPProbe(d.Ops+"/healthz")(ctx) == nil {
			return nil, d, nil
		}
		if !said {
			c.say("another 'tidegate up' starts or stops with %s; waiting for it", c.StateDir)
			said = true
		}
	}
}
