package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"tidegate.dev/controlplane/cli/client"
	"tidegate.dev/controlplane/cli/login"
	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
)

func (a *app) loginCommand() *cobra.Command {
	return &cobra.Command{
		Use: "login", Short: "Remember a server and an admin token for later commands",
		Long: `Remember a server and an admin token for later commands, in a file that only you can read. The token is read from
--token-file, else from standard input (without showing it, in a terminal), never from an argument, which others could see.`,
		Example: `  tidegate login --server https://tidegate.example.com
  tidegate login --token-file admin-token`,
		Args: takes(0, 0, "no arguments; the token is read from --token-file or standard input"),
		RunE: func(command *cobra.Command, _ []string) error { return a.login(command.Context()) },
	}
}

func (a *app) login(ctx context.Context) error {
	server := strings.TrimSuffix(first(a.server, a.env("TIDEGATE_SERVER"), defaultServer), "/")
	token, err := a.askToken(server)
	if err != nil {
		return err
	}
	c, err := client.New(client.Config{Server: server, Token: token, UserAgent: "tidegate/" + a.version})
	if err != nil {
		return err
	}
	var session adminv1.Session
	if err := c.Get(ctx, client.Path("sessions", "current"), nil, &session); err != nil {
		return err
	}
	file, err := a.contextFile()
	if err != nil {
		return err
	}
	if err := login.Write(file, login.Context{Server: server, Token: token, Fleet: a.fleet}); err != nil {
		return err
	}
	return a.print(&session, func(w io.Writer) {
		fmt.Fprintf(w, "logged in to %s as %s (%s); written to %s\n", server, printable(session.GetSubject()), printable(session.GetRole()), file)
	})
}

func (a *app) askToken(server string) (string, error) {
	if file := first(a.tokenFile, a.env("TIDEGATE_TOKEN_FILE")); file != "" {
		return login.ReadToken(file)
	}
	if f, ok := a.in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprintf(a.err, "admin token for %s (it is not shown): ", server)
		typed, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(a.err)
		if err != nil {
			return "", fmt.Errorf("reading the token: %w", err)
		}
		return strings.TrimSpace(string(typed)), nil
	}
	line, err := bufio.NewReader(io.LimitReader(a.in, 1024)).ReadString('\n')
	if token := strings.TrimSpace(line); token != "" {
		return token, nil
	}
	return "", fmt.Errorf("no token on standard input (%w): give one there or name a file with --token-file", err)
}
