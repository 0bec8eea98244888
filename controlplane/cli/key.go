package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"tidegate.dev/controlplane/cli/client"
	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func (a *app) keyCommand() *cobra.Command {
	return group("key", "Make, rotate and revoke the API keys of consumers",
		a.keyCreateCommand(), a.keyRotateCommand(), a.keyRevokeCommand(), a.keyListCommand())
}

func (a *app) keyCreateCommand() *cobra.Command {
	var spec configv1.Key
	var ttl time.Duration
	command := &cobra.Command{
		Use: "create CONSUMER", Short: "Make a key and show it, once",
		Long: "Make a key and show it, once. The key alone goes to standard output; what there is to say about it, to standard error.",
		Example: `  tidegate key create acme
  KEY=$(tidegate key create acme --expires-in 720h --scope orders:read)`,
		Args:              takes(1, 1, "the name of a consumer"),
		ValidArgsFunction: a.completeConsumers,
		RunE: func(command *cobra.Command, args []string) error {
			if ttl < 0 || ttl > 0 && spec.GetExpiresAt() != "" {
				return usage("give one of --expires-in and --expires-at, in the future")
			}
			if ttl > 0 {
				spec.ExpiresAt = time.Now().UTC().Add(ttl).Format(time.RFC3339)
			}
			c, fleet, err := a.connect()
			if err != nil {
				return err
			}
			var response adminv1.CreateKeyResponse
			path := client.Path("fleets", fleet, "consumers", args[0], "keys")
			if err := c.Post(command.Context(), path, &adminv1.Key{Spec: &spec}, &response); err != nil {
				return err
			}
			return a.showKey(&response)
		},
	}
	flags := command.Flags()
	flags.StringVar(&spec.ExpiresAt, "expires-at", "", "when it stops working, such as 2027-01-31T00:00:00Z (default: never)")
	flags.DurationVar(&ttl, "expires-in", 0, "how long it works, such as 720h")
	flags.StringArrayVar(&spec.Scopes, "scope", nil, "what it may do, for plugins that ask; may be given several times")
	flags.StringVar(&spec.Description, "description", "", "a note for people")
	return command
}

func (a *app) showKey(response *adminv1.CreateKeyResponse) error {
	return a.print(response, func(w io.Writer) {
		fmt.Fprintf(a.err, "key %s of consumer %s, shown this once:\n", response.GetKey().GetId(), response.GetKey().GetConsumer())
		fmt.Fprintln(w, response.GetSecret())
	})
}

func (a *app) keyRotateCommand() *cobra.Command {
	var overlap time.Duration
	command := &cobra.Command{
		Use: "rotate CONSUMER KEY", Short: "Make a successor of a key and show it, once; the old one lives on for a while",
		Example:           "  tidegate key rotate acme 4fzyo82m --overlap 24h",
		Args:              takes(2, 2, "the name of a consumer and the id of its key; see: tidegate key list"),
		ValidArgsFunction: a.completeConsumers,
		RunE: func(command *cobra.Command, args []string) error {
			c, fleet, err := a.connect()
			if err != nil {
				return err
			}
			request := &adminv1.RotateKeyRequest{Fleet: fleet, Consumer: args[0], Key: args[1]}
			if command.Flags().Changed("overlap") {
				request.Overlap = fmt.Sprintf("%ds", int64(overlap.Seconds()))
			}
			var response adminv1.CreateKeyResponse
			path := client.Path("fleets", fleet, "consumers", args[0], "keys", args[1], ":rotate")
			if err := c.Post(command.Context(), path, request, &response); err != nil {
				return err
			}
			return a.showKey(&response)
		},
	}
	command.Flags().DurationVar(&overlap, "overlap", time.Hour, "how long the old key goes on working")
	return command
}

func (a *app) keyRevokeCommand() *cobra.Command {
	var reason string
	command := &cobra.Command{
		Use: "revoke CONSUMER KEY", Short: "Refuse a key on every agent from now on",
		Example:           "  tidegate key revoke acme 4fzyo82m --reason 'found in a public repository'",
		Args:              takes(2, 2, "the name of a consumer and the id of its key; see: tidegate key list"),
		ValidArgsFunction: a.completeConsumers,
		RunE: func(command *cobra.Command, args []string) error {
			c, fleet, err := a.connect()
			if err != nil {
				return err
			}
			query := url.Values{}
			if reason != "" {
				query.Set("reason", reason)
			}
			var key adminv1.Key
			call := client.Call{Method: http.MethodDelete, Path: client.Path("fleets", fleet, "consumers", args[0], "keys", args[1]), Query: query}
			if _, err := c.Do(command.Context(), call, &key); err != nil {
				return err
			}
			return a.print(&key, func(w io.Writer) {
				fmt.Fprintf(w, "key %s of consumer %s is revoked; connected agents refuse it within a second\n", args[1], args[0])
			})
		},
	}
	command.Flags().StringVar(&reason, "reason", "", "why; it is kept in the audit log")
	return command
}

func (a *app) keyListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list [CONSUMER]", Short: "List keys, without the keys themselves",
		Example:           "  tidegate key list\n  tidegate key list acme",
		Args:              takes(0, 1, "the name of a consumer, or nothing for all"),
		ValidArgsFunction: a.completeConsumers,
		RunE: func(command *cobra.Command, args []string) error {
			return a.listKeys(command.Context(), append(args, "-")[0])
		},
	}
}

func (a *app) listKeys(ctx context.Context, consumer string) error {
	c, fleet, err := a.connect()
	if err != nil {
		return err
	}
	l := keyListing()
	list, err := collect(ctx, c, l, client.Path("fleets", fleet, "consumers", consumer, "keys"), getOptions{})
	if err != nil {
		return err
	}
	return a.printListing(l, fleet, list, items(list))
}
