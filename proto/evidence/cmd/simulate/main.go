// Command simulate shows what the sequential comparison is worth: how many
// requests a bad candidate costs until it is found, and how often a harmless one
// is taken back, for many cases, some of them wrong on purpose.
//
//	go run ./evidence/cmd/simulate -quick            seconds
//	go run ./evidence/cmd/simulate                   a minute
//	go run ./evidence/cmd/simulate -runs 10000       what docs/statistics.md shows
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"

	"tidegate.dev/proto/evidence"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := simulate(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "simulate:", err)
		os.Exit(1)
	}
}

// settings are the command's flags.
type settings struct {
	runs      int
	seed      uint64
	tolerance float64
	multiples []float64
	only      string
	workers   int
	progress  io.Writer
}

// test is the product's test, but for the flags.
func (s settings) test(tolerance float64) (*evidence.Test, error) {
	return evidence.NewTest(evidence.Config{Tolerance: tolerance, Multiples: s.multiples})
}

func parse(args []string, stderr io.Writer) (settings, error) {
	s := settings{progress: stderr}
	var multiples string
	var quiet, quick bool
	flags := flag.NewFlagSet("simulate", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&s.runs, "runs", 1000, "simulated rollouts for each case")
	flags.BoolVar(&quick, "quick", false, "a tenth of the runs, for a first look")
	flags.Uint64Var(&s.seed, "seed", 1, "seed of all chance: the same seed prints the same tables")
	flags.Float64Var(&s.tolerance, "tolerance", evidence.DefaultTolerance, "accepted ratio of the candidate's bad requests to the control's")
	flags.StringVar(&multiples, "multiples", "", "multiples of the tolerance to look for, separated by commas (default: the product's)")
	flags.StringVar(&s.only, "only", "", "print one table: "+strings.Join(tableNames(), ", "))
	flags.IntVar(&s.workers, "workers", runtime.GOMAXPROCS(0), "goroutines")
	flags.BoolVar(&quiet, "quiet", false, "no progress on standard error")
	if err := flags.Parse(args); err != nil {
		return settings{}, err
	}
	if quick {
		s.runs = max(1, s.runs/10)
	}
	if quiet {
		s.progress = io.Discard
	}
	if s.runs < 1 || s.workers < 1 {
		return settings{}, errors.New("-runs and -workers must be at least 1")
	}
	for _, field := range strings.FieldsFunc(multiples, func(r rune) bool { return r == ',' }) {
		m, err := strconv.ParseFloat(strings.TrimSpace(field), 64)
		if err != nil {
			return settings{}, fmt.Errorf("reading -multiples: %w", err)
		}
		s.multiples = append(s.multiples, m)
	}
	return s, nil
}

func simulate(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	s, err := parse(args, stderr)
	if err != nil {
		return err
	}
	printed := false
	for _, t := range tables() {
		if s.only != "" && s.only != t.name {
			continue
		}
		printed = true
		if err := t.print(ctx, s, stdout); err != nil {
			return fmt.Errorf("table %s: %w", t.name, err)
		}
	}
	if !printed {
		return fmt.Errorf("no table is called %q; there are %s", s.only, strings.Join(tableNames(), ", "))
	}
	return nil
}
