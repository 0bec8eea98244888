package cli

import (
	"fmt"
	"io"
	"sort"
	"time"

	"github.com/spf13/cobra"

	"tidegate.dev/controlplane/cli/client"
	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
)

func (a *app) agentCommand() *cobra.Command {
	return group("agent", "See the agents of the fleet, and let new ones join", a.agentListCommand(), a.joinTokenCommand(), a.drainCommand(), a.agentLocalCommand())
}

func (a *app) agentListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List agents: what each should serve and what it serves",
		Example: "  tidegate agent list",
		Args:    takes(0, 0, "no arguments"),
		RunE: func(command *cobra.Command, _ []string) error {
			return a.get(command.Context(), []string{"agents"}, getOptions{})
		},
	}
}

func (a *app) joinTokenCommand() *cobra.Command {
	var ttl time.Duration
	command := &cobra.Command{
		Use: "join-token", Short: "Make a token with which one agent joins the fleet, once",
		Long: "Make a token with which one agent joins the fleet, once. The token alone goes to standard output.",
		Example: `  (umask 077; tidegate agent join-token > join-token)
  tidegate-agent --control-plane 127.0.0.1:9081 --join-token-file join-token --state-dir /var/lib/tidegate-agent`,
		Args: takes(0, 0, "no arguments"),
		RunE: func(command *cobra.Command, _ []string) error {
			c, fleet, err := a.connect()
			if err != nil {
				return err
			}
			request := &adminv1.CreateJoinTokenRequest{Fleet: fleet, Ttl: fmt.Sprintf("%ds", int64(ttl.Seconds()))}
			var response adminv1.CreateJoinTokenResponse
			if err := c.Post(command.Context(), client.Path("joinTokens"), request, &response); err != nil {
				return err
			}
			return a.print(&response, func(w io.Writer) {
				fmt.Fprintf(a.err, "it works once, until %s:\n", response.GetExpireTime().AsTime().Local().Format(time.DateTime))
				fmt.Fprintln(w, response.GetToken())
			})
		},
	}
	command.Flags().DurationVar(&ttl, "ttl", time.Hour, "how long it may wait to be used, at most 24h")
	return command
}

func (a *app) drainCommand() *cobra.Command {
	var reason string
	command := &cobra.Command{
		Use: "drain AGENT", Short: "Tell an agent to finish what it has and take nothing new",
		Example:           "  tidegate agent drain 4e0f2c --reason 'the host is replaced'",
		Args:              takes(1, 1, "the id of an agent; see: tidegate agent list"),
		ValidArgsFunction: a.completeAgents,
		RunE: func(command *cobra.Command, args []string) error {
			c, fleet, err := a.connect()
			if err != nil {
				return err
			}
			var agent adminv1.Agent
			request := &adminv1.DrainAgentRequest{Fleet: fleet, Id: args[0], Reason: reason}
			if err := c.Post(command.Context(), client.Path("fleets", fleet, "agents", args[0], ":drain"), request, &agent); err != nil {
				return err
			}
			return a.print(&agent, func(w io.Writer) {
				fmt.Fprintf(w, "agent %s (%s) is %s\n", printable(agent.GetName()), printable(agent.GetId()), printable(agent.GetState()))
			})
		},
	}
	command.Flags().StringVar(&reason, "reason", "", "why; it is kept in the audit log")
	return command
}

func (a *app) explainCommand() *cobra.Command {
	request := &adminv1.ExplainRequest{}
	command := &cobra.Command{
		Use: "explain METHOD URL", Short: "Say which route a request would take, which policies apply, and why not other routes",
		Example: `  tidegate explain GET /orders/42
  tidegate explain POST https://api.example.com/orders --view stable`,
		Args: takes(2, 2, "a method and a URL; a bare path means any host"),
		RunE: func(command *cobra.Command, args []string) error {
			c, fleet, err := a.connect()
			if err != nil {
				return err
			}
			request.Fleet, request.Method, request.Url = fleet, args[0], args[1]
			var response adminv1.ExplainResponse
			if err := c.Post(command.Context(), client.Path("fleets", fleet, ":explain"), request, &response); err != nil {
				return err
			}
			return a.print(&response, func(w io.Writer) { drawExplanation(w, &response) })
		},
	}
	command.Flags().StringToStringVarP(&request.Headers, "header", "H", nil, "a header of the request, as name=value; may be repeated")
	command.Flags().StringVar(&request.View, "view", "", `"head" (the default) or "stable"`)
	return command
}

func drawExplanation(w io.Writer, e *adminv1.ExplainResponse) {
	if e.GetRoute() == "" {
		fmt.Fprintln(w, "no route matches")
	} else {
		fmt.Fprintf(w, "route    %s  by %s\nservice  %s\n", printable(e.GetRoute()), printable(e.GetPattern()), printable(e.GetService()))
	}
	var parameters []string
	for name, value := range e.GetParameters() {
		parameters = append(parameters, fmt.Sprintf("         {%s} is %q", printable(name), value))
	}
	sort.Strings(parameters)
	if e.GetAction() != "" {
		parameters = append(parameters, "         "+printable(e.GetAction()))
	}
	for _, backend := range e.GetBackends() {
		parameters = append(parameters, "         "+printable(backend))
	}
	for _, condition := range e.GetConditions() {
		parameters = append(parameters, "         "+printable(condition))
	}
	for _, line := range parameters {
		fmt.Fprintln(w, line)
	}
	if len(e.GetPlugins()) > 0 {
		fmt.Fprintln(w, "policies, in order:")
	}
	for _, p := range e.GetPlugins() {
		fmt.Fprintf(w, "  %s: %s (%s)  %s\n", printable(p.GetPhase()), printable(p.GetName()), printable(p.GetType()), printable(p.GetReason()))
	}
	if len(e.GetOthers()) > 0 {
		fmt.Fprintln(w, "other routes:")
	}
	for _, o := range e.GetOthers() {
		fmt.Fprintf(w, "  %s: %s\n", printable(o.GetName()), printable(o.GetReason()))
	}
}
