package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tidegate.dev/controlplane/cli/client"
	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// trialOptions are the flags that say which gate is tried.
type trialOptions struct {
	tolerance, alpha float64
	metrics          []string
	objectives       []string
	since            time.Duration
	limit            int
}

func (a *app) rolloutTryCommand() *cobra.Command {
	var options trialOptions
	command := &cobra.Command{
		Use: "try", Short: "Say what a gate would have done to the last rollouts",
		Long: `Try a gate on rollouts that have ended, by the evidence that was kept of them: would it have taken back what went through, or
let go on what was rolled back? Nothing is changed. What is not said is what each rollout had; without any --tolerance, --alpha or
--metric, objectives alone are tried.`,
		Example: `  tidegate rollout try --tolerance 1.05
  tidegate rollout try --tolerance 2 --alpha 0.001 --metric upstream_5xx --since 720h
  tidegate rollout try --objective errors=1 --objective errors@orders=0.5`,
		Args: takes(0, 0, "no arguments"),
		RunE: func(command *cobra.Command, _ []string) error {
			request, err := options.request(command)
			if err != nil {
				return err
			}
			return a.try(command.Context(), request, options.limit)
		},
	}
	flags := command.Flags()
	flags.Float64Var(&options.tolerance, "tolerance", 0, "how many times the control's share of bad requests is accepted")
	flags.Float64Var(&options.alpha, "alpha", 0, "the probability of taking back a good candidate")
	flags.StringSliceVar(&options.metrics, "metric", nil, `compare only this, such as "upstream_5xx"; may be repeated`)
	flags.StringSliceVar(&options.objectives, "objective", nil, `an absolute limit in percent, "errors=1" or of one route "errors@orders=1"; may be repeated`)
	flags.DurationVar(&options.since, "since", 7*24*time.Hour, "how long ago they ended at most")
	flags.IntVar(&options.limit, "limit", 100, "try it on at most so many, the newest")
	return command
}

func (o trialOptions) request(command *cobra.Command) (*adminv1.TryGateRequest, error) {
	request := &adminv1.TryGateRequest{Since: o.since.Truncate(time.Second).String()}
	if o.since < time.Second || o.limit < 1 {
		return nil, usage("--since must be a second at least, and --limit one")
	}
	changed := command.Flags().Changed
	if changed("tolerance") || changed("alpha") || changed("metric") || len(o.objectives) == 0 {
		request.Comparison = &adminv1.TriedComparison{Metrics: o.metrics}
		if changed("tolerance") {
			request.Comparison.Tolerance = &o.tolerance
		}
		if changed("alpha") {
			request.Comparison.Alpha = &o.alpha
		}
	}
	for _, text := range o.objectives {
		objective, err := parseObjective(text)
		if err != nil {
			return nil, err
		}
		request.Objectives = append(request.Objectives, objective)
	}
	return request, nil
}

// parseObjective reads METRIC[@ROUTE]=PERCENT.
func parseObjective(text string) (*configv1.ObjectiveGate, error) {
	what, limit, ok := strings.Cut(text, "=")
	percent, err := strconv.ParseFloat(strings.TrimSuffix(limit, "%"), 64)
	if !ok || err != nil {
		return nil, usage(`--objective takes METRIC=PERCENT or METRIC@ROUTE=PERCENT, such as "errors=1", not %q`, text)
	}
	metric, route, _ := strings.Cut(what, "@")
	return &configv1.ObjectiveGate{Metric: metric, Route: route, MaxPercent: percent}, nil
}

// try collects all pages and prints them as one answer.
func (a *app) try(ctx context.Context, request *adminv1.TryGateRequest, limit int) error {
	c, fleet, err := a.connect()
	if err != nil {
		return err
	}
	request.Fleet = fleet
	all := &adminv1.TryGateResponse{}
	for {
		request.PageSize = int32(min(limit-len(all.GetRollouts()), 100))
		var page adminv1.TryGateResponse
		if err := c.Post(ctx, client.Path("fleets", fleet, "rollouts", ":try"), request, &page); err != nil {
			return err
		}
		all.Rollouts, all.Caveats = append(all.Rollouts, page.GetRollouts()...), page.GetCaveats()
		request.PageToken = page.GetNextPageToken()
		if request.GetPageToken() == "" || len(all.GetRollouts()) >= limit {
			return a.print(all, func(w io.Writer) { a.drawTrial(w, all) })
		}
	}
}

func (a *app) drawTrial(w io.Writer, all *adminv1.TryGateResponse) {
	style := a.style(w)
	var rows [][]string
	differences := map[string]int{}
	for _, r := range all.GetRollouts() {
		differences[r.GetDifference()]++
		rows = append(rows, []string{
			r.GetId(), strconv.Itoa(int(r.GetRevision())), strings.ReplaceAll(r.GetState(), "_", " "), outcomeOf(r), momentOf(r), r.GetExplanation(),
		})
	}
	if len(rows) == 0 {
		fmt.Fprintln(w, "no rollout has ended in that time")
		return
	}
	table(w, []string{"ROLLOUT", "REVISION", "REALLY", "WITH THIS GATE", "WHEN", "WHY"}, rows)
	fmt.Fprintf(w, "\nOf %d: %s that went through would have been taken back, %s that was rolled back had not failed by then.\n\n",
		len(rows), style.bold(strconv.Itoa(differences["taken_back"])), style.bold(strconv.Itoa(differences["kept"])))
	fmt.Fprintln(w, style.dim("What is not known:"))
	for _, caveat := range all.GetCaveats() {
		fmt.Fprintln(w, style.dim("- "+caveat))
	}
}

// outcomeOf is what a gate would have done, beside what really happened.
func outcomeOf(r *adminv1.TriedRollout) string {
	switch {
	case r.GetDifference() == "taken_back":
		return "would be taken back"
	case r.GetDifference() == "kept":
		return "not by then"
	case r.GetVerdict() == "fail":
		return "taken back too"
	case r.GetVerdict() == "pass":
		return "passes"
	default:
		return "says nothing"
	}
}

// momentOf is when a gate failed, as exactly as it is known.
func momentOf(r *adminv1.TriedRollout) string {
	requests := fmt.Sprintf("%d candidate requests", r.GetCandidateRequests())
	switch {
	case r.GetVerdict() != "fail":
		return ""
	case r.GetMoment() == "reading":
		return fmt.Sprintf("step %d, after %s, %s", r.GetStep()+1, r.GetAfter(), requests)
	case r.GetMoment() == "step":
		return fmt.Sprintf("by the end of step %d, %s", r.GetStep()+1, requests)
	default:
		return "by the end, " + requests
	}
}
