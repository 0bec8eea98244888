package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// The exit codes of every command.
const (
	ExitOK          = 0   // serving, or no change
	ExitError       = 1   // something went wrong
	ExitChanges     = 2   // diff found changes
	ExitRolledBack  = 3   // the change was taken back
	ExitHeld        = 4   // the rollout waits for a person, or took too long
	ExitInterrupted = 130 // Ctrl-C: what was watched goes on
)

// exit is an error that carries an exit code. Without a message nothing is printed: all was said.
type exit struct {
	code    int
	message string
}

func (e *exit) Error() string { return e.message }

// Main runs a command line and returns the exit code.
func Main(version string, args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return run(ctx, &app{
		version: version, in: os.Stdin, out: os.Stdout, err: os.Stderr, env: os.Getenv,
	}, args)
}

func run(ctx context.Context, a *app, args []string) int {
	root := a.root()
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return ExitOK
	}
	var coded *exit
	if errors.As(err, &coded) {
		if coded.message != "" {
			fmt.Fprintln(a.err, coded.message)
		}
		return coded.code
	}
	fmt.Fprintln(a.err, "error: "+err.Error())
	var usage *usageError
	if errors.As(err, &usage) {
		fmt.Fprintf(a.err, "run %q for what it takes\n", command.CommandPath()+" --help")
	}
	return ExitError
}

// usageError is a command line that makes no sense, so that help is offered.
type usageError struct{ error }

func usage(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// app is what every command needs: streams, environment and the global flags.
type app struct {
	version  string
	in       io.Reader
	out, err io.Writer
	env      func(string) string

	server    string
	tokenFile string
	fleet     string
	output    string
	context   string
}

const rootExample = `  tidegate up                            # everything, on this machine
  tidegate apply -f shop.yaml            # publish a file and watch its rollout
  tidegate get routes
  tidegate rollout watch
  tidegate key create acme`

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "tidegate",
		Short: "Operate Tidegate, the API gateway that ships configuration in steps",
		Long: `Operate Tidegate, the API gateway that ships configuration in steps.

It authenticates with --token-file, then the variable TIDEGATE_TOKEN, then the context that 'tidegate login' or
'tidegate up' wrote (~/.config/tidegate/context.json).

Exit codes: 0 serving or no change, 1 error, 2 'diff' found changes, 3 rolled back, 4 held or timed out,
130 interrupted (what was watched goes on).`,
		Example:       rootExample,
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       a.version,
		Args:          cobra.NoArgs,
		RunE:          func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	flags := root.PersistentFlags()
	flags.StringVar(&a.server, "server", "", "URL of the admin API (TIDEGATE_SERVER; default: the context's, else http://127.0.0.1:9080)")
	flags.StringVar(&a.tokenFile, "token-file", "", "file with the admin token (TIDEGATE_TOKEN_FILE)")
	flags.StringVar(&a.fleet, "fleet", "", `fleet to work on (TIDEGATE_FLEET; default "default")`)
	flags.StringVarP(&a.output, "output", "o", "table", "json, yaml or table")
	flags.StringVar(&a.context, "context", "", "context file (TIDEGATE_CONTEXT; default ~/.config/tidegate/context.json)")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	root.PersistentPreRunE = func(*cobra.Command, []string) error { return a.checkOutput() }
	a.addCommands(root)
	a.completeFlags(root)
	return root
}

func (a *app) addCommands(root *cobra.Command) {
	groups := []struct {
		id, title string
		commands  []*cobra.Command
	}{
		{"change", "Change configuration:", []*cobra.Command{
			a.applyCommand(), a.diffCommand(), a.validateCommand(), a.getCommand(), a.deleteCommand(), a.publishCommand(), a.changeSetCommand(),
			a.rollbackCommand(), a.importCommand(),
		}},
		{"watch", "Watch and steer:", []*cobra.Command{a.rolloutCommand(), a.revisionCommand(), a.agentCommand(), a.fleetCommand(), a.explainCommand()}},
		{"access", "Give access:", []*cobra.Command{a.keyCommand(), a.blockCommand(), a.certificateCommand(), a.loginCommand()}},
		{"run", "Run and more:", []*cobra.Command{a.upCommand(), a.versionCommand()}},
	}
	for _, group := range groups {
		root.AddGroup(&cobra.Group{ID: group.id, Title: group.title})
		for _, command := range group.commands {
			command.GroupID = group.id
			root.AddCommand(command)
		}
	}
	root.SetHelpCommandGroupID("run")
	root.SetCompletionCommandGroupID("run")
}

// group is a command that only has others below it.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	parent := &cobra.Command{
		Use: use, Short: short,
		RunE: func(command *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage("unknown command %q for %q", args[0], command.CommandPath())
			}
			return command.Help()
		},
	}
	parent.AddCommand(commands...)
	return parent
}

// takes checks the number of arguments, and says which in words.
func takes(least, most int, what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return usage("it takes %s", what)
		}
		return nil
	}
}
