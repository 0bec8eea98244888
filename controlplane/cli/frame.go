package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// maxEvidence is how many comparisons a frame shows: the ones with most evidence against the candidate.
const maxEvidence = 5

// frame is a rollout in a few lines, none longer than the terminal is wide: what it is, its steps, the dials, the evidence.
func frame(r *adminv1.Rollout, now time.Time, width int, s style) []string {
	lines := []string{heading(r, s)}
	lines = append(lines, stepLines(r, now, s)...)
	if dials := dialLine(r); dials != "" {
		lines = append(lines, dials)
	}
	lines = append(lines, evidenceLines(r, s)...)
	if events := r.GetEvents(); len(events) > 0 {
		lines = append(lines, s.dim(eventLine(events[len(events)-1], now.Location())))
	}
	for i, line := range lines {
		lines[i] = shorten(line, width)
	}
	return lines
}

func heading(r *adminv1.Rollout, s style) string {
	over := ", the first"
	if r.GetStableRevision() > 0 {
		over = fmt.Sprintf(" over %d", r.GetStableRevision())
	}
	return printable(fmt.Sprintf("rollout %s  revision %d%s  %s  ", r.GetId(), r.GetRevision(), over, r.GetStrategy())) + paintState(r.GetState(), s)
}

func paintState(state string, s style) string {
	switch state {
	case "completed", "serving":
		return s.green(state)
	case "rolled_back", "aborted", "rejected":
		return s.red(state)
	case "held", "paused", "awaiting_approval":
		return s.yellow(state)
	default:
		return s.bold(printable(state))
	}
}

func stepLines(r *adminv1.Rollout, now time.Time, s style) []string {
	var lines []string
	for i, step := range r.GetSpec().GetSteps() {
		text := fmt.Sprintf("%d  %-12s %5s %%  %s", i+1, stepAgents(step), percent(step.GetTrafficPercent()), step.GetBake())
		switch current := int(r.GetStep()); {
		case r.GetState() == "completed" || i < current:
			lines = append(lines, s.green("  ✓ "+text))
		case i > current || r.GetState() == "queued":
			lines = append(lines, s.dim("    "+text))
		case isOver(r):
			lines = append(lines, s.red("  ✗ "+text))
		default:
			lines = append(lines, s.bold("  ▸ "+text)+clock(r, now))
		}
	}
	return lines
}

func stepAgents(step *configv1.Step) string {
	switch {
	case step.GetAgents() > 0:
		return count(int64(step.GetAgents()), "agent")
	case step.GetAgentsPercent() >= 100:
		return "all agents"
	default:
		return percent(step.GetAgentsPercent()) + " % agents"
	}
}

func percent(value float64) string { return strconv.FormatFloat(value, 'f', -1, 64) }

// clock is how far the present step is.
func clock(r *adminv1.Rollout, now time.Time) string {
	if r.GetState() != "running" || r.GetBakeEndTime() == nil {
		return ""
	}
	end, begin := r.GetBakeEndTime().AsTime(), r.GetStepTime().AsTime()
	left := end.Sub(now)
	if left <= 0 {
		return "  judging"
	}
	const cells = 10
	done := 0
	if whole := end.Sub(begin); whole > 0 {
		done = min(cells, max(0, int(float64(cells)*float64(whole-left)/float64(whole))))
	}
	return fmt.Sprintf("  %s%s %ds left", strings.Repeat("█", done), strings.Repeat("░", cells-done), int(left.Seconds())+1)
}

func dialLine(r *adminv1.Rollout) string {
	if isOver(r) || r.GetState() == "queued" {
		return ""
	}
	var agents []string
	for _, agent := range r.GetAgents() {
		if !agent.GetCandidate() {
			continue
		}
		text := agent.GetAgent() + " " + agent.GetState()
		if agent.GetError() != "" {
			text += " (" + agent.GetError() + ")"
		}
		agents = append(agents, text)
	}
	if more := len(agents) - 4; more > 0 {
		agents = append(agents[:4], fmt.Sprintf("and %d more", more))
	}
	return printable(fmt.Sprintf("  candidate on %d of %s, %s %% of their traffic   %s",
		r.GetCandidateAgents(), count(r.GetTotalAgents(), "agent"), percent(r.GetTrafficPercent()), strings.Join(agents, ", ")))
}

func evidenceLines(r *adminv1.Rollout, s style) []string {
	shown := slices.Clone(r.GetEvidence())
	slices.SortStableFunc(shown, func(x, y *adminv1.Evidence) int {
		switch a, b := weight(x), weight(y); {
		case a > b:
			return -1
		case a < b:
			return 1
		}
		return 0
	})
	var lines []string
	for _, e := range shown[:min(len(shown), maxEvidence)] {
		name := e.GetMetric()
		if e.GetRoute() != "" {
			name += " of " + e.GetRoute()
		}
		text := fmt.Sprintf(" %-28s %s against %s   evidence %s of %s", printable(name),
			share(e.GetCandidateBad(), e.GetCandidateTotal()), share(e.GetControlBad(), e.GetControlTotal()),
			magnitude(e.GetEvidence()), magnitude(e.GetThreshold()))
		switch e.GetVerdict() {
		case "fail":
			lines = append(lines, s.red("  ✗"+text))
		case "pass":
			lines = append(lines, s.green("  ✓")+text)
		default:
			lines = append(lines, s.dim("  ?")+text)
		}
	}
	return lines
}

// weight orders evidence: what fails first, then what comes nearest to failing.
func weight(e *adminv1.Evidence) float64 {
	if e.GetVerdict() == "fail" {
		return 2
	}
	if e.GetThreshold() <= 0 {
		return 0
	}
	return min(1, e.GetEvidence()/e.GetThreshold())
}

func share(bad, total int64) string {
	if total == 0 {
		return "0/0"
	}
	return fmt.Sprintf("%d/%d (%s %%)", bad, total, strconv.FormatFloat(100*float64(bad)/float64(total), 'g', 3, 64))
}

// magnitude is a number that may span many powers of ten.
func magnitude(value float64) string {
	if value >= 100000 {
		return strconv.FormatFloat(value, 'e', 0, 64)
	}
	return strconv.FormatFloat(value, 'f', min(1, max(0, 2-len(strconv.Itoa(int(value))))), 64)
}

// closing says how a rollout ended, and what can be done.
func closing(r *adminv1.Rollout, s style) string {
	reason := ""
	if r.GetReason() != "" {
		reason = ": " + printable(r.GetReason())
	}
	switch r.GetState() {
	case "completed":
		return s.green(fmt.Sprintf("✓ revision %d serves all traffic", r.GetRevision())) + reason
	case "rolled_back":
		return s.red(fmt.Sprintf("✗ revision %d was taken back", r.GetRevision())) + reason
	case "aborted":
		return s.red(fmt.Sprintf("✗ revision %d was aborted", r.GetRevision())) + reason
	case "held":
		return s.yellow(fmt.Sprintf("rollout %s is held", r.GetId())) + reason +
			fmt.Sprintf("\n  go on: tidegate rollout promote %s   give up: tidegate rollout abort %s", r.GetId(), r.GetId())
	case "awaiting_approval":
		return s.yellow(fmt.Sprintf("rollout %s waits for approval", r.GetId())) + reason +
			fmt.Sprintf("\n  let it go on: tidegate rollout approve %s   then: tidegate rollout wait %s", r.GetId(), r.GetId())
	default:
		return fmt.Sprintf("rollout %s is %s%s", r.GetId(), printable(r.GetState()), reason)
	}
}

// shorten cuts a line to a width, leaving out escape sequences in the count.
func shorten(line string, width int) string {
	visible, escape := 0, false
	for i, r := range line {
		switch {
		case r == '\x1b':
			escape = true
		case escape:
			escape = r != 'm'
		default:
			visible++
		}
		if visible >= width && !escape && i+utf8.RuneLen(r) < len(line) {
			if strings.Contains(line, "\x1b") {
				return line[:i] + "…\x1b[0m"
			}
			return line[:i] + "…"
		}
	}
	return line
}
