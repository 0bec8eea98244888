package up

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"tidegate.dev/controlplane/local"
)

// Config says what to run.
type Config struct {
	// BinDir holds the programs. Default: where this one is.
	BinDir string
	// StateDir keeps everything: data, keys, tokens, logs. Default: local.StateDir of the clone.
	StateDir string
	// DatabaseURL names an existing Postgres instead of a private one.
	DatabaseURL string
	// ControlPlanes is how many replicas of the control plane run; 0: one.
	ControlPlanes int
	// Agents is how many agents run.
	Agents int
	Ports  Ports
	// DemoDir holds the files that are applied to a fleet without revisions. Default: deploy/demo of the clone.
	DemoDir string
	// NoDemo leaves the demo out.
	NoDemo bool
	// ContextFile is where the command line looks for whom to speak to; it is written unless it is of another server. Empty:
	// it is left alone.
	ContextFile string
	// Version is told to the API as the client's.
	Version string
	// Progress is told what happens, for people.
	Progress io.Writer
	// Verbose sends the output of all processes to Progress too. It is in the logs anyway.
	Verbose bool
}

// Names of the programs, beside this one.
const (
	programControlPlane = "tidegate-controlplane"
	programAgent        = "tidegate-agent"
	programDemo         = "tidegate-demo"
)

// maxAgents bounds how many agents one machine is asked to run.
const maxAgents = 32

// maxControlPlanes bounds the replicas likewise.
const maxControlPlanes = 5

// complete fills in what is not given, and checks it.
func (c *Config) complete() error {
	if c.BinDir == "" {
		program, err := os.Executable()
		if err == nil {
			program, err = filepath.EvalSymlinks(program)
		}
		if err != nil {
			return fmt.Errorf("finding the programs: %w", err)
		}
		c.BinDir = filepath.Dir(program)
	}
	if c.StateDir == "" {
		c.StateDir = local.StateDir(c.clone())
	}
	absolute, err := filepath.Abs(c.StateDir)
	if err != nil {
		return fmt.Errorf("finding the state folder: %w", err)
	}
	c.StateDir = absolute
	if c.DemoDir == "" {
		c.DemoDir = filepath.Join(c.clone(), "deploy", "demo")
	}
	if c.ControlPlanes == 0 {
		c.ControlPlanes = 1
	}
	if c.ControlPlanes < 1 || c.ControlPlanes > maxControlPlanes {
		return fmt.Errorf("--control-planes must be between 1 and %d", maxControlPlanes)
	}
	if c.Agents < 1 || c.Agents > maxAgents {
		return fmt.Errorf("--agents must be between 1 and %d", maxAgents)
	}
	return c.checkPrograms()
}

// clone is the folder that holds bin.
func (c *Config) clone() string { return filepath.Dir(c.BinDir) }

func (c *Config) checkPrograms() error {
	var missing []error
	for _, name := range []string{programControlPlane, programAgent} {
		if !c.has(name) {
			missing = append(missing, fmt.Errorf("%s is not in %s; build it with: make build", name, c.BinDir))
		}
	}
	return errors.Join(missing...)
}

func (c *Config) program(name string) string { return filepath.Join(c.BinDir, name) }

func (c *Config) has(name string) bool {
	info, err := os.Stat(c.program(name))
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// file is a path inside of the state folder.
func (c *Config) file(parts ...string) string {
	return filepath.Join(append([]string{c.StateDir}, parts...)...)
}

func (c *Config) say(format string, args ...any) { fmt.Fprintf(c.Progress, format+"\n", args...) }
