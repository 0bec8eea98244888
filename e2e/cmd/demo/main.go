// Command demo (bin/tidegate-demo) is what demonstrations need around Tidegate: small upstreams to send requests to, load, a
// release that is broken on purpose, and GitHub's API as real input. It speaks to Tidegate from outside, as users do.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

const usageText = `tidegate-demo: demonstrations around a running Tidegate

  tidegate-demo upstream     a small HTTP server that answers with what it received
  tidegate-demo load         constant load on some proxies, with a summary
  tidegate-demo bad-release  publish a broken change under live load, and watch it being taken back
  tidegate-demo github       publish GitHub's API, over a thousand routes, and send a request

Each has --help. The last two use the stack of 'tidegate up', and start one of their own if none runs.
`

// demonstrations are the subcommands.
func demonstrations() map[string]func(context.Context, []string) error {
	return map[string]func(context.Context, []string) error{
		"upstream":    runUpstream,
		"load":        runLoad,
		"bad-release": runBadRelease,
		"github":      runGitHub,
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := dispatch(ctx, os.Args[1:], os.Stderr)
	stop()
	os.Exit(code)
}

func dispatch(ctx context.Context, arguments []string, complaints io.Writer) int {
	if len(arguments) == 0 || demonstrations()[arguments[0]] == nil {
		fmt.Fprint(complaints, usageText)
		if len(arguments) == 1 && (arguments[0] == "--help" || arguments[0] == "-h" || arguments[0] == "help") {
			return 0
		}
		return 2
	}
	switch err := demonstrations()[arguments[0]](ctx, arguments[1:]); {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	default:
		fmt.Fprintln(complaints, "tidegate-demo:", err)
		return 1
	}
}

// newFlags makes the flags of one demonstration.
func newFlags(name, about string) *flag.FlagSet {
	flags := flag.NewFlagSet("tidegate-demo "+name, flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprintf(flags.Output(), "%s\n\nFlags:\n", about)
		flags.PrintDefaults()
	}
	return flags
}

// parse reads flags; there are no other arguments.
func parse(flags *flag.FlagSet, arguments []string) error {
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q; see --help", flags.Arg(0))
	}
	return nil
}
