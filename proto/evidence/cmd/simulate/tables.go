package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"text/tabwriter"

	"tidegate.dev/proto/evidence"
	"tidegate.dev/proto/evidence/simulation"
)

// table is one printed table.
type table struct {
	name  string
	print func(context.Context, settings, io.Writer) error
}

func tables() []table {
	return []table{
		{"power", printPower},
		{"false-alarms", printFalseAlarms},
		{"fleet-power", printFleetPower},
		{"early-pass", printEarlyPass},
	}
}

func tableNames() []string {
	var names []string
	for _, t := range tables() {
		names = append(names, t.name)
	}
	return names
}

func printPower(ctx context.Context, s settings, out io.Writer) error {
	test, err := evidence.NewTest(evidence.Config{Tolerance: s.tolerance, Multiples: s.multiples})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "One comparison, 2,000 requests/s, tolerance %v: candidate requests until the fail\n", s.tolerance)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "case\tfound\tmedian\t90 %\tmedian bad\tmedian s\treference")
	for _, c := range powerCases() {
		outcomes, err := repeat(ctx, s, c.name, s.runs, func(rng *rand.Rand) simulation.RegressionOutcome {
			return c.regression.Run(test, rng)
		})
		if err != nil {
			return err
		}
		found := only(outcomes, func(o simulation.RegressionOutcome) bool { return o.Failed })
		requests := func(o simulation.RegressionOutcome) float64 { return float64(o.CandidateRequests) }
		bad := func(o simulation.RegressionOutcome) float64 { return float64(o.CandidateBad) }
		seconds := func(o simulation.RegressionOutcome) float64 { return o.Seconds }
		fmt.Fprintf(w, "%s\t%d/%d\t%.0f\t%.0f\t%.0f\t%.1f\t%s\n", c.name, len(found), s.runs,
			quantile(found, requests, 0.5), quantile(found, requests, 0.9),
			quantile(found, bad, 0.5), quantile(found, seconds, 0.5), c.reference)
	}
	return flush(w, out)
}

func printFalseAlarms(ctx context.Context, s settings, out io.Writer) error {
	fmt.Fprintln(out, "Harmless candidates taken back, of all rollouts; alpha is 1 %")
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "case\ttolerance\tfalse\trollouts\tshare\tby agents")
	for _, c := range falseAlarmCases() {
		for _, tolerance := range c.tolerances {
			test, err := evidence.NewTest(evidence.Config{Tolerance: tolerance, Multiples: s.multiples})
			if err != nil {
				return err
			}
			runs := max(1, s.runs/c.fewer)
			outcomes, err := repeat(ctx, s, c.name, runs, func(rng *rand.Rand) simulation.FleetOutcome {
				return c.fleet.Run(test, rng)
			})
			if err != nil {
				return err
			}
			failed := only(outcomes, func(o simulation.FleetOutcome) bool { return o.Failed })
			byAgent := only(failed, func(o simulation.FleetOutcome) bool { return o.ByAgent })
			fmt.Fprintf(w, "%s\t%v\t%d\t%d\t%.2f %%\t%d\n", c.name, tolerance,
				len(failed), runs, 100*float64(len(failed))/float64(runs), len(byAgent))
		}
	}
	return flush(w, out)
}

func printFleetPower(ctx context.Context, s settings, out io.Writer) error {
	test, err := evidence.NewTest(evidence.Config{Tolerance: s.tolerance, Multiples: s.multiples})
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "Fleets with a bad candidate, guards and judge together: requests in the whole fleet until the first fail")
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "case\tfound\tby agents\tmedian requests\tmedian bad\tmedian s")
	for _, c := range fleetPowerCases() {
		runs := max(1, s.runs/c.fewer)
		outcomes, err := repeat(ctx, s, c.name, runs, func(rng *rand.Rand) simulation.FleetOutcome {
			return c.fleet.Run(test, rng)
		})
		if err != nil {
			return err
		}
		found := only(outcomes, func(o simulation.FleetOutcome) bool { return o.Failed })
		byAgent := only(found, func(o simulation.FleetOutcome) bool { return o.ByAgent })
		requests := func(o simulation.FleetOutcome) float64 { return o.CandidateRequests }
		bad := func(o simulation.FleetOutcome) float64 { return float64(o.CandidateBad) }
		seconds := func(o simulation.FleetOutcome) float64 { return o.Seconds }
		fmt.Fprintf(w, "%s\t%d/%d\t%d\t%.0f\t%.0f\t%.1f\n", c.name, len(found), runs, len(byAgent),
			quantile(found, requests, 0.5), quantile(found, bad, 0.5), quantile(found, seconds, 0.5))
	}
	return flush(w, out)
}

func printEarlyPass(ctx context.Context, s settings, out io.Writer) error {
	test, err := evidence.NewTest(evidence.Config{Tolerance: s.tolerance, Multiples: s.multiples})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Harmless candidates: bad requests in both arms until shown to be below %v times the control, alpha 0.025 %%\n", s.tolerance)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "share\ttrue ratio\tshown\tmedian bad\t90 %")
	for _, c := range earlyPassCases() {
		name := fmt.Sprintf("%v %%, ratio %v", float64(c.SharePPM)/1e4, c.Ratio)
		runs := max(1, s.runs/10)
		outcomes, err := repeat(ctx, s, name, runs, func(rng *rand.Rand) int { return c.Run(test, rng) })
		if err != nil {
			return err
		}
		shown := only(outcomes, func(bad int) bool { return bad > 0 })
		count := func(bad int) float64 { return float64(bad) }
		fmt.Fprintf(w, "%v %%\t%v\t%d/%d\t%.0f\t%.0f\n", float64(c.SharePPM)/1e4, c.Ratio,
			len(shown), runs, quantile(shown, count, 0.5), quantile(shown, count, 0.9))
	}
	return flush(w, out)
}

func flush(w *tabwriter.Writer, out io.Writer) error {
	if err := w.Flush(); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	if _, err := io.WriteString(out, "\n"); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	return nil
}
