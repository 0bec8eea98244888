package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"
)

// allKinds is the word for every kind of breakage.
const allKinds = "all"

// outcome is what one broken change came to.
type outcome struct {
	kind             string
	exposed, failed  int64
	took             time.Duration // from the publish to its end
	state, explained string
}

func runBadRelease(ctx context.Context, arguments []string) error {
	flags := newFlags("bad-release", "Publishes a broken change to a running stack under live load, and shows what it did before it was taken back.")
	kind := flags.String("kind", "dead-upstream", "how it is broken: "+breakageNames()+"; or all, one after the other, with a table at the end")
	rate := flags.Float64("rate", 1000, "requests a second, over all agents")
	if err := parse(flags, arguments); err != nil {
		return err
	}
	chosen, err := findBreakages(*kind)
	if err != nil {
		return err
	}
	s, stop, err := findStack(ctx)
	if err != nil {
		return err
	}
	defer stop()
	a, err := newAPI(s.Admin, s.TokenFile)
	if err != nil {
		return err
	}
	var outcomes []outcome
	for i, b := range chosen {
		if i > 0 {
			fmt.Println()
		}
		r := &release{stack: s, api: a, breakage: b, rate: *rate}
		if err = r.run(ctx); err != nil {
			err = fmt.Errorf("%s: %w", b.kind, err)
			break
		}
		outcomes = append(outcomes, r.outcome())
	}
	if len(chosen) > 1 {
		fmt.Println()
		err = errors.Join(err, printOutcomes(os.Stdout, outcomes))
	}
	return err
}

// printOutcomes writes the table, a row a kind.
func printOutcomes(w io.Writer, outcomes []outcome) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "KIND\tEXPOSED\tFAILED\tTAKEN BACK AFTER\tBY\tIN WORDS")
	for _, o := range outcomes {
		fmt.Fprintf(table, "%s\t%d\t%d\t%.1f s\t%s\t%s\n", o.kind, o.exposed, o.failed, o.took.Seconds(), o.by(), o.explained)
	}
	return table.Flush()
}

// by tells who took the candidate back: an agent from its own traffic, or the control plane from that of all.
func (o outcome) by() string {
	switch {
	case o.state != "rolled_back":
		return "nobody"
	case strings.HasPrefix(o.explained, "agent "):
		return "agent"
	}
	return "fleet"
}
