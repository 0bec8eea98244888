package evidence

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Explain says in one line of plain words what led to the verdict. The metric is
// what bad means, such as "5xx", and begins the line.
func (d Decision) Explain(metric string) string {
	switch d.Cause {
	case TooFewRequests:
		return metric + " not compared: " + d.tooFew()
	case TooFewForLimit:
		return fmt.Sprintf("%s not judged: %s of %s candidate requests",
			metric, formatCount(d.Candidate.Requests), formatCount(d.MinimumRequests))
	case NoLevel:
		return metric + " not judged: no valid level was set"
	case LimitReached:
		return fmt.Sprintf("%s %s, at or above the limit of %s; there is no control",
			metric, formatArm(d.Candidate, "candidate"), formatShare(d.Limit))
	case WithinLimit:
		return fmt.Sprintf("%s %s, below the limit of %s; there is no control",
			metric, formatArm(d.Candidate, "candidate"), formatShare(d.Limit))
	default:
		return fmt.Sprintf("%s %s against %s; %s",
			metric, formatArm(d.Candidate, "candidate"), formatArm(d.Control, "control"), d.weight())
	}
}

// ExplainUnits is Explain where it was units that were counted, each once, and not their requests.
func (d Decision) ExplainUnits(metric string) string {
	return unitsForRequests.Replace(d.Explain(metric))
}

var unitsForRequests = strings.NewReplacer("candidate request", "candidate unit", "control request", "control unit")

// weight says how the evidence stands against the threshold.
func (d Decision) weight() string {
	now, threshold := formatLog(d.LogEvidence), formatLog(d.LogThreshold)
	switch d.Cause {
	case EvidenceReached:
		if d.LogEvidence < d.LogThreshold {
			return fmt.Sprintf("evidence reached %s ≥ %s, now %s", formatLog(d.LogPeak), threshold, now)
		}
		return fmt.Sprintf("evidence %s ≥ %s", now, threshold)
	case ShownNoWorse:
		return fmt.Sprintf("shown to be less than %s times the control's", strconv.FormatFloat(d.Tolerance, 'g', 4, 64))
	case BakeOver:
		return fmt.Sprintf("evidence %s < %s at the end of the bake time", now, threshold)
	default:
		return fmt.Sprintf("evidence %s < %s so far", now, threshold)
	}
}

func (d Decision) tooFew() string {
	arm, have := "candidate", d.Candidate.Requests
	if have >= d.MinimumRequests {
		arm, have = "control", d.Control.Requests
	}
	return fmt.Sprintf("%s of %s %s requests", formatCount(have), formatCount(d.MinimumRequests), arm)
}

func formatArm(a Arm, name string) string {
	noun := "requests"
	if a.Requests == 1 {
		noun = "request"
	}
	share := 0.0
	if a.Requests > 0 {
		share = float64(a.Bad) / float64(a.Requests)
	}
	return fmt.Sprintf("%s of %s %s %s", formatShare(share), formatCount(a.Requests), name, noun)
}

// formatShare writes a share as a percentage with about two digits that matter.
// What is almost all is never rounded up to all.
func formatShare(share float64) string {
	percent := share * 100
	decimals := 0
	switch {
	case percent <= 0 || percent >= 100:
	case percent > 99:
		decimals, percent = 2, math.Floor(percent*100)/100
	case percent < 0.995:
		decimals = 1 - int(math.Floor(math.Log10(percent)))
	case percent < 9.95:
		decimals = 1
	}
	text := strconv.FormatFloat(percent, 'f', decimals, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text + " %"
}

// formatCount writes 40310 as 40,310.
func formatCount(n uint64) string {
	digits := strconv.FormatUint(n, 10)
	var grouped strings.Builder
	for i, digit := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			grouped.WriteByte(',')
		}
		grouped.WriteRune(digit)
	}
	return grouped.String()
}

// formatLog writes e to the given power, which may be far beyond a float64, with
// about two digits that matter: 0.031, 12, 2,000, 3.1e6.
func formatLog(natural float64) string {
	ten := natural / math.Ln10
	if ten >= 6 || ten < -3 {
		exponent := math.Floor(ten)
		mantissa := math.Round(math.Pow(10, ten-exponent)*10) / 10
		if mantissa >= 10 {
			mantissa, exponent = 1, exponent+1
		}
		return fmt.Sprintf("%.1fe%.0f", mantissa, exponent)
	}
	value := math.Exp(natural)
	if value >= 9.95 {
		return formatCount(uint64(math.Round(value)))
	}
	return strconv.FormatFloat(value, 'g', 2, 64)
}
