package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"tidegate.dev/controlplane/cli/client"
	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func (a *app) blockCommand() *cobra.Command {
	return group("block", "Refuse addresses or a consumer at once, on every agent",
		a.blockAddCommand(), a.blockListCommand(), a.blockRemoveCommand())
}

func (a *app) blockAddCommand() *cobra.Command {
	var spec configv1.Block
	var ttl time.Duration
	command := &cobra.Command{
		Use: "add NAME [ADDRESS...]", Short: "Refuse addresses and ranges, or a consumer, from now on",
		Example: `  tidegate block add scraper 203.0.113.0/24 2001:db8::/32 --reason 'scrapes prices' --expires-in 24h
  tidegate block add acme-unpaid --consumer acme --reason 'has not paid since May'`,
		Args: takes(1, 1001, "a name for the block, and addresses or --consumer"),
		RunE: func(command *cobra.Command, args []string) error {
			if ttl < 0 || ttl > 0 && spec.GetExpiresAt() != "" {
				return usage("give one of --expires-in and --expires-at, in the future")
			}
			if ttl > 0 {
				spec.ExpiresAt = time.Now().UTC().Add(ttl).Format(time.RFC3339)
			}
			spec.Addresses = args[1:]
			return a.addBlock(command.Context(), args[0], &spec)
		},
	}
	flags := command.Flags()
	flags.StringVar(&spec.Consumer, "consumer", "", "the consumer to suspend, instead of addresses")
	flags.StringVar(&spec.Reason, "reason", "", "why; clients are not told")
	flags.StringVar(&spec.ExpiresAt, "expires-at", "", "when it is lifted, such as 2027-01-31T00:00:00Z (default: never)")
	flags.DurationVar(&ttl, "expires-in", 0, "how long it lasts, such as 24h")
	flags.BoolVar(&spec.Wide, "wide", false, "a range wider than /8 (IPv6: /16) is meant, such as 0.0.0.0/0, which refuses everybody")
	_ = command.MarkFlagRequired("reason")
	_ = command.RegisterFlagCompletionFunc("consumer", func(command *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return a.names(command, "consumers"), cobra.ShellCompDirectiveNoFileComp
	})
	return command
}

func (a *app) addBlock(ctx context.Context, name string, spec *configv1.Block) error {
	c, fleet, err := a.connect()
	if err != nil {
		return err
	}
	var block adminv1.Block
	if err := c.Post(ctx, client.Path("fleets", fleet, "blocks"), &adminv1.Block{Name: name, Spec: spec}, &block); err != nil {
		return err
	}
	return a.print(&block, func(w io.Writer) {
		fmt.Fprintf(w, "block %s is in force; connected agents refuse within a second\n", name)
	})
}

func (a *app) blockListCommand() *cobra.Command {
	var address string
	command := &cobra.Command{
		Use: "list", Short: "List blocks; with --address, those that refuse a client",
		Example: "  tidegate block list\n  tidegate block list --address 203.0.113.9",
		Args:    takes(0, 0, "nothing"),
		RunE: func(command *cobra.Command, _ []string) error {
			return a.listBlocks(command.Context(), address)
		},
	}
	command.Flags().StringVar(&address, "address", "", "show those alone that refuse this address")
	return command
}

func (a *app) listBlocks(ctx context.Context, address string) error {
	c, fleet, err := a.connect()
	if err != nil {
		return err
	}
	l, err := findListing("blocks")
	if err != nil {
		return err
	}
	list, err := collect(ctx, c, l, l.path(fleet), getOptions{})
	if err != nil {
		return err
	}
	if address != "" {
		client, err := netip.ParseAddr(address)
		if err != nil {
			return usage("--address %q is no address", address)
		}
		list = blocksOf(list.(*adminv1.ListBlocksResponse), client.Unmap())
	}
	return a.printListing(l, fleet, list, items(list))
}

// blocksOf are the blocks that refuse a client.
func blocksOf(all *adminv1.ListBlocksResponse, client netip.Addr) proto.Message {
	found := &adminv1.ListBlocksResponse{}
	for _, block := range all.GetBlocks() {
		for _, text := range block.GetSpec().GetAddresses() {
			if refuses(text, client) {
				found.Blocks = append(found.Blocks, block)
				break
			}
		}
	}
	return found
}

func refuses(text string, client netip.Addr) bool {
	if prefix, err := netip.ParsePrefix(text); err == nil {
		return prefix.Contains(client)
	}
	address, err := netip.ParseAddr(text)
	return err == nil && address.Unmap() == client
}

func (a *app) blockRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use: "remove NAME", Short: "Lift a block",
		Example: "  tidegate block remove scraper",
		Args:    takes(1, 1, "the name of a block; see: tidegate block list"),
		ValidArgsFunction: func(command *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
			return a.names(command, "blocks"), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(command *cobra.Command, args []string) error {
			c, fleet, err := a.connect()
			if err != nil {
				return err
			}
			call := client.Call{Method: http.MethodDelete, Path: client.Path("fleets", fleet, "blocks", args[0])}
			if _, err := c.Do(command.Context(), call, nil); err != nil {
				return err
			}
			fmt.Fprintf(a.err, "block %s is lifted; connected agents know within a second\n", args[0])
			return nil
		},
	}
}
