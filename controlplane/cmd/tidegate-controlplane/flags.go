package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// commands are what the program can be asked for.
type commands struct {
	flags   `embed:""`
	Serve   struct{} `cmd:"" default:"1" help:"Run the control plane (the default)."`
	Version struct{} `cmd:"" help:"Print the version."`
}

// flags configure the control plane. Each is also a variable TIDEGATE_<NAME> and a name in the file of --config.
type flags struct {
	Config kong.ConfigFlag `help:"YAML file with flags: \"admin-address: 0.0.0.0:9080\"." type:"path" placeholder:"FILE"`

	DatabaseURL     string        `name:"database-url" env:"TIDEGATE_DATABASE_URL,DATABASE_URL" help:"Postgres to keep everything in. As a flag it shows in the process list: prefer the variable or the file if it holds a password." placeholder:"URL"`
	DatabaseTimeout time.Duration `default:"2m" help:"How long to wait for Postgres at start."`
	Migrate         bool          `default:"true" negatable:"" help:"Bring the database's schema to this version at start."`
	Retention       time.Duration `default:"720h" help:"How long counts of requests are kept. The evidence of rollouts is kept for ever."`

	MasterKeyFile      string `default:"tidegate-master.key" type:"path" help:"The key that wraps all others, shared by all replicas. It is made if neither it nor anything wrapped by it exists."`
	BootstrapTokenFile string `type:"path" help:"Where to write the first admin token (0600), if there is none yet." placeholder:"FILE"`

	AdminAddress string   `default:"127.0.0.1:9080" help:"Admin API and console."`
	AgentAddress string   `default:"127.0.0.1:9081" help:"Streams of agents (gRPC, mutual TLS)."`
	OpsAddress   string   `default:"127.0.0.1:9082" help:"/metrics, /healthz, /readyz."`
	AgentHost    []string `default:"localhost,127.0.0.1" help:"Names and addresses by which agents reach this replica; its certificate carries them." placeholder:"NAME"`

	Replica  string `help:"This replica's name among those that share the database. Default: the host's name and the admin port." placeholder:"NAME"`
	LogLevel string `enum:"debug,info,warn,error" default:"info" help:"debug, info, warn or error."`
}

const description = `Tidegate's control plane. Every flag can be given as TIDEGATE_<FLAG> (TIDEGATE_ADMIN_ADDRESS) or in the file of --config.

  DATABASE_URL=postgres://tidegate@localhost/tidegate tidegate-controlplane --bootstrap-token-file admin.token`

// dispatch reads the command line and does what it says.
func dispatch(ctx context.Context, arguments []string) error {
	return dispatchTo(ctx, arguments, func(ctx context.Context, f *flags) error { return serve(ctx, f, f.logger()) })
}

func dispatchTo(ctx context.Context, arguments []string, serve func(context.Context, *flags) error) error {
	var given commands
	parser, err := kong.New(&given, kong.Name("tidegate-controlplane"), kong.Description(description),
		kong.DefaultEnvars("TIDEGATE"), kong.Configuration(readConfig))
	if err != nil {
		return fmt.Errorf("describing the flags: %w", err)
	}
	chosen, err := parser.Parse(arguments)
	if err != nil {
		return err
	}
	if chosen.Command() == "version" {
		_, err := fmt.Println(describeVersion())
		return err
	}
	if err := given.complete(); err != nil {
		return err
	}
	return serve(ctx, &given.flags)
}

// complete checks what kong cannot, and fills in what depends on the machine.
func (f *flags) complete() error {
	if f.DatabaseURL == "" {
		return errors.New("name a Postgres with --database-url or DATABASE_URL (postgres://user@host/database)")
	}
	if f.Replica == "" {
		host, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("asking for the host's name (--replica NAME needs none): %w", err)
		}
		f.Replica = host + f.AdminAddress[strings.LastIndex(f.AdminAddress, ":"):]
	}
	return nil
}

func (f *flags) logger() *slog.Logger {
	level := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
	return slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: level[f.LogLevel]})).
		With("replica", f.Replica)
}
