package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"text/tabwriter"

	"tidegate.dev/proto/evidence"
	"tidegate.dev/proto/evidence/simulation"
)

// table is one printed table: rows of cells, the first of which are the
// captions of the columns.
type table struct {
	name, title string
	rows        func(context.Context, settings) ([][]string, error)
}

func tables() []table {
	return []table{
		{"power", "One comparison, 2,000 requests/s: candidate requests until the fail", powerRows},
		{"false-alarms", "Harmless candidates taken back, of all rollouts; alpha is 1 %", falseAlarmRows},
		{"fleet-power", "Fleets with a bad candidate, guards and judge: requests in the whole fleet until the first fail", fleetPowerRows},
		{"early-pass", "One comparison: bad requests in both arms until the candidate is shown to be within the tolerance, alpha 1 %", earlyPassRows},
	}
}

func tableNames() []string {
	var names []string
	for _, t := range tables() {
		names = append(names, t.name)
	}
	return names
}

func (t table) print(ctx context.Context, s settings, out io.Writer) error {
	rows, err := t.rows(ctx, s)
	if err != nil {
		return err
	}
	lines := make([]string, 0, len(rows))
	for _, cells := range rows {
		lines = append(lines, strings.Join(cells, "\t"))
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if _, err := fmt.Fprintf(w, "%s\n%s\n\n", t.title, strings.Join(lines, "\n")); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	return nil
}

func powerRows(ctx context.Context, s settings) ([][]string, error) {
	test, err := s.test(s.tolerance)
	if err != nil {
		return nil, err
	}
	rows := [][]string{{"case", "found", "median", "90 %", "median bad", "median s", "reference", "its grid, here"}}
	for _, c := range powerCases() {
		found, err := playRegression(ctx, s, c, test)
		if err != nil {
			return nil, err
		}
		again, err := medianOfReference(ctx, s, c)
		if err != nil {
			return nil, err
		}
		requests := candidateRequests
		bad := func(o simulation.RegressionOutcome) float64 { return float64(o.CandidateBad) }
		seconds := func(o simulation.RegressionOutcome) float64 { return o.Seconds }
		rows = append(rows, []string{
			c.name, fmt.Sprintf("%d/%d", len(found), s.runs),
			whole(quantile(found, requests, 0.5)), whole(quantile(found, requests, 0.9)),
			whole(quantile(found, bad, 0.5)), tenths(quantile(found, seconds, 0.5)), c.reference, again,
		})
	}
	return rows, nil
}

func candidateRequests(o simulation.RegressionOutcome) float64 { return float64(o.CandidateRequests) }

// playRegression returns the runs that found the regression.
func playRegression(ctx context.Context, s settings, c powerCase, test *evidence.Test) ([]simulation.RegressionOutcome, error) {
	outcomes, err := repeat(ctx, s, c.name, s.runs, func(rng *rand.Rand) simulation.RegressionOutcome {
		return c.regression.Run(test, rng)
	})
	return only(outcomes, func(o simulation.RegressionOutcome) bool { return o.Failed }), err
}

// medianOfReference plays a case that has a reference figure once more, on the same chance, with the alternatives of the
// reference: its own figures are medians of 60 runs, which stray by a tenth and more.
func medianOfReference(ctx context.Context, s settings, c powerCase) (string, error) {
	if c.reference == "" {
		return "", nil
	}
	test, err := evidence.NewTest(evidence.Config{Tolerance: s.tolerance, Multiples: referenceMultiples()})
	if err != nil {
		return "", err
	}
	found, err := playRegression(ctx, s, c, test)
	return whole(quantile(found, candidateRequests, 0.5)), err
}

func falseAlarmRows(ctx context.Context, s settings) ([][]string, error) {
	rows := [][]string{{"case", "tolerance", "false", "rollouts", "share", "by agents", "reference"}}
	for _, c := range falseAlarmCases() {
		for _, tolerance := range c.tolerances {
			test, err := s.test(tolerance)
			if err != nil {
				return nil, err
			}
			outcomes, err := playFleet(ctx, s, c, test)
			if err != nil {
				return nil, err
			}
			failed, byAgent := failures(outcomes)
			rows = append(rows, []string{
				c.name, fmt.Sprint(tolerance), fmt.Sprint(len(failed)), fmt.Sprint(len(outcomes)),
				fmt.Sprintf("%.2f %%", 100*float64(len(failed))/float64(len(outcomes))), fmt.Sprint(byAgent), c.reference[tolerance],
			})
		}
	}
	return rows, nil
}

func fleetPowerRows(ctx context.Context, s settings) ([][]string, error) {
	test, err := s.test(s.tolerance)
	if err != nil {
		return nil, err
	}
	rows := [][]string{{"case", "found", "by agents", "median requests", "median bad", "bad an agent", "90 %", "median s"}}
	for _, c := range fleetPowerCases() {
		outcomes, err := playFleet(ctx, s, c, test)
		if err != nil {
			return nil, err
		}
		failed, byAgent := failures(outcomes)
		requests := func(o simulation.FleetOutcome) float64 { return o.CandidateRequests }
		bad := func(o simulation.FleetOutcome) float64 { return float64(o.CandidateBad) }
		seconds := func(o simulation.FleetOutcome) float64 { return o.Seconds }
		rows = append(rows, []string{
			c.name, fmt.Sprintf("%d/%d", len(failed), len(outcomes)), fmt.Sprint(byAgent),
			whole(quantile(failed, requests, 0.5)), whole(quantile(failed, bad, 0.5)),
			tenths(quantile(failed, bad, 0.5) / float64(len(c.fleet.Agents))), tenths(quantile(failed, bad, 0.9) / float64(len(c.fleet.Agents))),
			tenths(quantile(failed, seconds, 0.5)),
		})
	}
	return rows, nil
}

func playFleet(ctx context.Context, s settings, c fleetCase, test *evidence.Test) ([]simulation.FleetOutcome, error) {
	return repeat(ctx, s, c.name, max(1, s.runs/c.fewer), func(rng *rand.Rand) simulation.FleetOutcome {
		return c.fleet.Run(test, rng)
	})
}

func failures(outcomes []simulation.FleetOutcome) (failed []simulation.FleetOutcome, byAgent int) {
	failed = only(outcomes, func(o simulation.FleetOutcome) bool { return o.Failed })
	return failed, len(only(failed, func(o simulation.FleetOutcome) bool { return o.ByAgent }))
}

func earlyPassRows(ctx context.Context, s settings) ([][]string, error) {
	test, err := s.test(s.tolerance)
	if err != nil {
		return nil, err
	}
	rows := [][]string{{"share", "true ratio", "shown", "median bad", "90 %"}}
	for _, c := range earlyPassCases() {
		share := fmt.Sprintf("%v %%", float64(c.SharePPM)/1e4)
		runs := max(1, s.runs/10)
		outcomes, err := repeat(ctx, s, fmt.Sprint(share, c.Ratio), runs, func(rng *rand.Rand) int { return c.Run(test, rng) })
		if err != nil {
			return nil, err
		}
		shown := only(outcomes, func(bad int) bool { return bad > 0 })
		count := func(bad int) float64 { return float64(bad) }
		rows = append(rows, []string{
			share, fmt.Sprint(c.Ratio), fmt.Sprintf("%d/%d", len(shown), runs),
			whole(quantile(shown, count, 0.5)), whole(quantile(shown, count, 0.9)),
		})
	}
	return rows, nil
}

func whole(x float64) string  { return fmt.Sprintf("%.0f", x) }
func tenths(x float64) string { return fmt.Sprintf("%.1f", x) }
