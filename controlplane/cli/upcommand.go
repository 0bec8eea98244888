package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tidegate.dev/controlplane/cli/login"
	"tidegate.dev/controlplane/cli/up"
)

// upOptions are the flags of up that are not its configuration's.
type upOptions struct {
	ports string // "default" or "auto"
	show  bool
}

func (a *app) upCommand() *cobra.Command {
	config := up.Config{Ports: up.DefaultPorts()}
	var options upOptions
	command := &cobra.Command{
		Use: "up", Short: "Run everything on this machine: Postgres, the control plane, agents, a demo",
		Long: `Run everything on this machine, for development and for trying it out: a private Postgres, the control plane, three agents and
two demo upstreams. It applies the demo to a fleet without revisions, prints a request that works, and stops everything on
Ctrl-C. The data stays for the next time. Children that die are started again.

A second 'up' while one runs prints the same and returns. DATABASE_URL names an existing Postgres to use instead.

It writes a context for the command line into its state folder and, with the default ports, into the user's context
(~/.config/tidegate/context.json) unless that is of another server.

With -o json, one document is printed to standard output when everything is ready; all else goes to standard error.`,
		Example: `  tidegate up
  tidegate up --ports auto --state-dir /tmp/try --agents 1 -o json
  tidegate up --proxy-port 18080
  tidegate up --show -o json       # what the one that runs has; starts none`,
		Args: takes(0, 0, "no arguments"),
		RunE: func(command *cobra.Command, _ []string) error { return a.up(command, config, options) },
	}
	flags := command.Flags()
	flags.StringVar(&options.ports, "ports", "default", `"default", or "auto" (or 0) for free ones everywhere`)
	flags.BoolVar(&options.show, "show", false, "show the one that runs; start none")
	flags.StringVar(&config.StateDir, "state-dir", "", "where everything is kept (default: .tidegate in the clone; for root below /var/lib/tidegate-dev)")
	flags.IntVar(&config.Agents, "agents", 3, "how many agents")
	flags.IntVar(&config.ControlPlanes, "control-planes", 1, "how many replicas of the control plane, all on one Postgres; agents know them all")
	flags.StringVar(&config.DemoDir, "demo", "", "folder of the demo's files (default: deploy/demo of the clone)")
	flags.BoolVar(&config.NoDemo, "no-demo", false, "leave the demo out")
	flags.BoolVarP(&config.Verbose, "verbose", "v", false, "show the output of all processes (it is in the logs anyway)")
	p := &config.Ports
	flags.IntVar(&p.Admin, "admin-port", p.Admin, "admin API and console")
	flags.IntVar(&p.Agent, "agent-port", p.Agent, "streams of the agents")
	flags.IntVar(&p.Ops, "ops-port", p.Ops, "metrics and health of the control plane")
	flags.IntVar(&p.Proxy, "proxy-port", p.Proxy, "proxy of the first agent; the next ones follow")
	flags.IntVar(&p.TLS, "tls-port", p.TLS, "TLS proxy of the first agent; the next ones follow")
	flags.IntVar(&p.AgentOps, "agent-ops-port", p.AgentOps, "metrics and health of the first agent; the next ones follow")
	flags.IntVar(&p.Upstream, "upstream-port", p.Upstream, "first demo upstream; the next one follows")
	flags.IntVar(&p.Postgres, "postgres-port", p.Postgres, "Postgres (0: the last time's if it is free, else any)")
	_ = command.MarkFlagDirname("state-dir") // fails only for a flag that is not there
	_ = command.MarkFlagDirname("demo")
	return command
}

func (a *app) up(command *cobra.Command, config up.Config, options upOptions) error {
	if err := a.choosePorts(command, &config, options.ports); err != nil {
		return err
	}
	config.DatabaseURL = a.env("DATABASE_URL")
	config.Version = a.version
	config.Progress = a.err
	if options.show {
		d, err := up.Running(command.Context(), config)
		if err != nil {
			return err
		}
		return a.printUp(d)
	}
	return up.Run(command.Context(), config, func(d *up.Document, running bool) error {
		if running {
			fmt.Fprintln(a.err, "it runs already:")
		}
		if err := a.printUp(d); err != nil {
			return err
		}
		if !running && a.output == "table" {
			fmt.Fprintln(a.out, "\nCtrl-C stops all of it; the data stays.")
		}
		return nil
	})
}

// portFlags are the flags of which --ports auto sets those that are not given.
func portFlags(p *up.Ports) map[string]*int {
	return map[string]*int{
		"admin-port": &p.Admin, "agent-port": &p.Agent, "ops-port": &p.Ops, "proxy-port": &p.Proxy, "tls-port": &p.TLS,
		"agent-ops-port": &p.AgentOps, "upstream-port": &p.Upstream, "postgres-port": &p.Postgres,
	}
}

func (a *app) choosePorts(command *cobra.Command, config *up.Config, ports string) error {
	for flag, port := range portFlags(&config.Ports) {
		if *port < 0 || *port > 65500 {
			return usage("--%s must be between 0 and 65500", flag)
		}
	}
	switch {
	case ports == "default":
		file, err := login.DefaultFile(a.env)
		if err == nil {
			config.ContextFile = first(a.context, a.env("TIDEGATE_CONTEXT"), file)
		}
	case slices.Contains([]string{"auto", "0"}, ports):
		for flag, port := range portFlags(&config.Ports) {
			if !command.Flags().Changed(flag) {
				*port = 0
			}
		}
	default:
		return usage(`--ports takes default or auto, not %q`, ports)
	}
	return nil
}

// printUp tells what runs: the request that works first.
func (a *app) printUp(d *up.Document) error {
	token, err := os.ReadFile(d.TokenFile)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("reading the admin token: %w", err)
	}
	return a.printValue(d, func(w io.Writer) { drawUp(w, d, strings.TrimSpace(string(token)), a.style(w)) })
}

func drawUp(w io.Writer, d *up.Document, token string, s style) {
	fmt.Fprintln(w)
	if d.Demo != nil {
		fmt.Fprintf(w, "%s\n\n  %s\n\n", s.bold("Tidegate is up. A request through the first agent:"), d.Demo.Curl)
	} else {
		fmt.Fprintf(w, "%s\n\n", s.bold("Tidegate is up, without the demo."))
	}
	fmt.Fprintf(w, "console     %s   sign in with the admin token\n", d.Admin)
	fmt.Fprintf(w, "            %s\n            (from %s)\n", token, d.TokenFile)
	fmt.Fprintf(w, "admin API   %s/openapi.json   metrics %s/metrics   agents join at %s\n", d.Admin, d.Ops, d.AgentAddress)
	for _, agent := range d.Agents {
		fmt.Fprintf(w, "%-11s %s   %s   metrics %s/metrics\n", agent.Name, agent.Proxy, agent.TLS, agent.Ops)
	}
	if d.Demo != nil {
		fmt.Fprintf(w, "upstreams   %s   of the demo\n", strings.Join(d.Demo.Upstreams, "   "))
		fmt.Fprintf(w, "TLS         trust %s (curl --cacert)\n", d.Demo.Certificate)
	}
	fmt.Fprintf(w, "logs        %s\ncontext     tidegate --context %s get routes\n", d.LogDir, d.ContextFile)
}
