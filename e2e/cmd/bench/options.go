package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// options are what the command line says.
type options struct {
	Subjects  []string
	Scenarios []scenario
	Rounds    int           // 0: each scenario's own number
	Duration  time.Duration // of one measurement, whole seconds; 0: each scenario's own
	Output    string        // "table", "markdown" or "json"
	Save      string        // a file for the results, in JSON
	Into      string        // a document that gets the results between its marks
	From      string        // a file with results to print; nothing is measured
}

const usageText = `tidegate-bench measures an agent beside nginx, haproxy, Caddy and Traefik, in turn, and prints ratios.

  make bench                 everything (about 25 minutes)
  make bench QUICK=1         what matters most, beside nginx and haproxy (about 3 minutes)

`

func parseOptions(arguments []string, complaints io.Writer) (*options, error) {
	o := &options{}
	flags := flag.NewFlagSet("tidegate-bench", flag.ContinueOnError)
	flags.SetOutput(complaints)
	flags.Usage = func() {
		fmt.Fprint(complaints, usageText)
		flags.PrintDefaults()
		fmt.Fprint(complaints, "\nScenarios:\n", describeScenarios())
	}
	quick := flags.Bool("quick", false, "only what matters most, beside nginx and haproxy")
	subjects := flags.String("subjects", "", "what is measured, with commas: "+strings.Join(subjectNames(), ", ")+" (default: all)")
	scenarios := flags.String("scenarios", "", "scenarios, with commas; a name with * at its end stands for all that begin so (default: all)")
	flags.IntVar(&o.Rounds, "rounds", 0, "how often each subject is measured in each scenario (default: 5, or 3 where it matters less)")
	flags.DurationVar(&o.Duration, "duration", 0, "how long one measurement takes, in whole seconds (default: 3s, or 2s where it matters less)")
	flags.StringVar(&o.Output, "o", "table", "what is printed: table, markdown or json")
	markdown := flags.Bool("markdown", false, "the same as -o markdown")
	flags.StringVar(&o.Save, "save", "", "write the results to this file as well, in JSON")
	flags.StringVar(&o.Into, "into", "", "paste the results into this Markdown document as well, between its marks")
	flags.StringVar(&o.From, "from", "", "print the results in this file; measure nothing")
	if err := flags.Parse(arguments); err != nil {
		return nil, err
	}
	if *markdown {
		o.Output = "markdown"
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q; see --help", flags.Arg(0))
	}
	return o, errors.Join(o.check(), o.choose(*subjects, *scenarios, *quick))
}

func (o *options) check() error {
	switch {
	case !slices.Contains([]string{"table", "markdown", "json"}, o.Output):
		return fmt.Errorf("-o must be table, markdown or json, not %q", o.Output)
	case o.Rounds < 0 || o.Rounds > 100:
		return errors.New("--rounds must be between 1 and 100")
	case o.Duration < 0 || o.Duration%time.Second != 0:
		return errors.New("--duration must be whole seconds")
	}
	return nil
}

// choose resolves the names of subjects and scenarios.
func (o *options) choose(subjects, scenarios string, quick bool) error {
	for _, s := range allScenarios() {
		switch {
		case scenarios == "" && (!quick || s.Quick):
			o.Scenarios = append(o.Scenarios, s)
		case scenarios != "" && slices.ContainsFunc(strings.Split(scenarios, ","), s.called):
			o.Scenarios = append(o.Scenarios, s)
		}
	}
	if len(o.Scenarios) == 0 {
		return fmt.Errorf("there is no scenario %q; there are:\n%s", scenarios, describeScenarios())
	}
	o.Subjects = subjectNames()
	if quick {
		o.Subjects = quickSubjects()
	}
	if subjects == "" {
		return nil
	}
	o.Subjects = strings.Split(subjects, ",")
	for _, name := range o.Subjects {
		if !slices.Contains(subjectNames(), name) {
			return fmt.Errorf("there is no subject %q; there are %s", name, strings.Join(subjectNames(), ", "))
		}
	}
	return nil
}

// needs are the programs that the run starts.
func (o *options) needs() []string {
	needed := []string{"gcc", "taskset", "chrt"}
	add := func(program string) {
		if program != "" && !slices.Contains(needed, program) {
			needed = append(needed, program)
		}
	}
	for _, s := range o.Scenarios {
		switch s.tool() {
		case toolH2load:
			add("h2load")
		case toolWrk, toolLoader, toolTLS: // rates come from wrk
			add("wrk")
		case toolIdle:
		}
		for _, name := range o.Subjects {
			if x := subjectByName(name); s.measures(x) {
				add(x.program())
			}
		}
	}
	return needed
}
