package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"tidegate.dev/controlplane/cli/client"
	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
)

func (a *app) certificateCommand() *cobra.Command {
	return group("certificate", "Have certificates obtained anew", a.certificateRenewCommand())
}

func (a *app) certificateRenewCommand() *cobra.Command {
	return &cobra.Command{
		Use: "renew NAME", Short: "Have a certificate obtained anew by ACME, without waiting until it is due",
		Long: `Have a certificate obtained anew by ACME, without waiting until it is due: after a failure whose cause is gone, or with a new key.
It does not wait for the outcome, which 'tidegate get certificate NAME' tells. Until then agents show what they have.`,
		Example: "  tidegate certificate renew shop",
		Args:    takes(1, 1, "the name of a certificate; see: tidegate get certificates"),
		RunE: func(command *cobra.Command, args []string) error {
			c, fleet, err := a.connect()
			if err != nil {
				return err
			}
			var response adminv1.Certificate
			path := client.Path("fleets", fleet, "certificates", args[0], ":renew")
			if err := c.Post(command.Context(), path, &adminv1.RenewCertificateRequest{Fleet: fleet, Name: args[0]}, &response); err != nil {
				return err
			}
			return a.print(&response, func(w io.Writer) {
				fmt.Fprintf(w, "certificate %s is being obtained; see: tidegate get certificate %s\n", args[0], args[0])
			})
		},
	}
}
