package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"
)

// options are what the command line says.
type options struct {
	Agents         int
	Routes         int
	Changes        int
	Revocations    int
	Storms         int
	ReportedRoutes int
	ControlPlanes  int
	Limit          time.Duration
	Output         string // "table", "markdown" or "json"

	// of a control plane that runs already
	Admins, AgentAddresses, Ops []string
	TokenFile                   string
}

const usageText = `tidegate-fleet measures a control plane with thousands of agents of the real protocol.

  make fleet                                         1,000 agents, 10,000 routes, two replicas
  make fleet FLEET_FLAGS='--agents 3000 -o json'     as far as the machine goes

It starts a stack of its own and ends it, unless --admin, --agent-address, --ops and --token-file name one that runs. That one's
default fleet gets routes and agents whose names begin with "fleet-", and keeps them.

`

func parseOptions(arguments []string, complaints io.Writer) (*options, error) {
	o := &options{}
	flags := flag.NewFlagSet("tidegate-fleet", flag.ContinueOnError)
	flags.SetOutput(complaints)
	flags.Usage = func() {
		fmt.Fprint(complaints, usageText)
		flags.PrintDefaults()
	}
	flags.IntVar(&o.Agents, "agents", 1000, "how many agents")
	flags.IntVar(&o.Routes, "routes", 10_000, "how many routes there are before anything is measured")
	flags.IntVar(&o.Changes, "changes", 20, "how many changes of one route are published")
	flags.IntVar(&o.Revocations, "revocations", 20, "how many keys are revoked")
	flags.IntVar(&o.Storms, "storms", 3, "how often all connections are cut at once")
	flags.IntVar(&o.ReportedRoutes, "reported-routes", 10, "of how many routes each agent reports each second; 0: agents report nothing")
	flags.IntVar(&o.ControlPlanes, "control-planes", 2, "how many replicas the stack has that is started")
	flags.DurationVar(&o.Limit, "limit", 9*time.Minute, "when to give up")
	flags.StringVar(&o.Output, "o", "table", "what is printed: table, markdown or json")
	admins := flags.String("admin", "", "the admin API of a control plane that runs, with commas for replicas")
	agents := flags.String("agent-address", "", "where agents reach it, host:port, with commas")
	ops := flags.String("ops", "", "where its metrics are, with commas")
	flags.StringVar(&o.TokenFile, "token-file", "", "a file with an admin token of it")
	if err := flags.Parse(arguments); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q; see --help", flags.Arg(0))
	}
	o.Admins, o.AgentAddresses, o.Ops = listOf(*admins), listOf(*agents), listOf(*ops)
	return o, o.check()
}

func listOf(text string) (list []string) {
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list
}

func (o *options) check() error {
	switch {
	case o.Agents < 1 || o.Routes < 1 || o.Changes < 0 || o.Revocations < 0 || o.Storms < 0 || o.ReportedRoutes < 0:
		return errors.New("--agents and --routes must be at least 1, and no number may be negative")
	case o.Output != "table" && o.Output != "markdown" && o.Output != "json":
		return fmt.Errorf("-o %s: there are table, markdown and json", o.Output)
	case len(o.Admins) != len(o.AgentAddresses) || len(o.Admins) != len(o.Ops):
		return errors.New("--admin, --agent-address and --ops must name the same replicas")
	case len(o.Admins) > 0 && o.TokenFile == "":
		return errors.New("--admin needs --token-file")
	}
	return nil
}

// controlPlane is the one that the command line names, or one that is started; stop ends only the latter.
func (o *options) controlPlane(ctx context.Context) (plane *controlPlane, stop func(), err error) {
	if len(o.Admins) == 0 {
		return startStack(ctx, o.ControlPlanes)
	}
	plane = &controlPlane{TokenFile: o.TokenFile}
	for i := range o.Admins {
		plane.Replicas = append(plane.Replicas, replica{
			Name: o.Admins[i], Admin: o.Admins[i], AgentAddress: o.AgentAddresses[i], Ops: o.Ops[i],
		})
	}
	return plane, func() {}, plane.readToken()
}
