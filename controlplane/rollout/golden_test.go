package rollout_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"tidegate.dev/controlplane/rollout"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

var update = flag.Bool("update", false, "write what is decided into testdata as what is expected")

const divider = "----------\n"

// Each file of testdata/decide is one moment and what is decided about it: "input / ---------- / expected". An input is made of
// lines: a noun, words, and key=value; times are ages.
func TestDecisions(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/decide/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no decisions to test: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			input, expected, _ := strings.Cut(string(content), divider)
			got := decide(t, input)
			if *update {
				if err := os.WriteFile(file, []byte(input+divider+got), 0o644); err != nil { //nolint:gosec // a file of the sources
					t.Fatal(err)
				}
				return
			}
			if got != expected {
				t.Errorf("decided:\n%s\nexpected:\n%s", got, expected)
			}
		})
	}
}

var goldenNow = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func decide(t *testing.T, input string) string {
	t.Helper()
	state := readState(t, input)
	actions := rollout.Decide(goldenNow, state)
	if len(actions) == 0 {
		return "nothing\n"
	}
	var text strings.Builder
	for _, action := range actions {
		fmt.Fprintln(&text, action)
	}
	change, err := state.Fold(goldenNow, actions)
	if err != nil {
		t.Fatal(err)
	}
	r := change.Rollout
	fmt.Fprintf(&text, "= rollout %d of revision %d: %s, step %d, %d agents, %g %%", r.ID, r.Revision, r.State, r.Step, r.Agents, float64(r.SharePPM)/1e4)
	if change.NewDials {
		text.WriteString(", new dials")
	}
	fmt.Fprintln(&text)
	return text.String()
}

// readState reads the lines of an input.
func readState(t *testing.T, input string) rollout.State {
	t.Helper()
	state := rollout.State{Rollout: rollout.Rollout{ID: 1, FleetID: 1, Revision: 5, StableRevision: 4, State: rollout.Running, Version: 1, JudgedAgents: 3, JudgedRoutes: 10}, Routes: 10}
	state.Rollout.Dials = rollout.Generation{Epoch: 1, Number: 7}
	spec := rollout.Shipped(rollout.DefaultStrategy)
	for number, line := range strings.Split(input, "\n") {
		words := splitWords(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		in := &inputLine{t: t, number: number + 1, noun: words[0], values: map[string]string{}}
		for _, word := range words[1:] {
			if key, value, ok := strings.Cut(word, "="); ok && words[0] != "strategy" {
				in.values[key] = value
			} else {
				in.words = append(in.words, word)
			}
		}
		if in.noun == "strategy" {
			spec = in.strategy(strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "strategy")))
			continue
		}
		in.read(&state)
	}
	plan, err := rollout.PlanOf(spec, state.Rollout.StableRevision == 0)
	if err != nil {
		t.Fatal(err)
	}
	state.Plan = plan
	return state
}

// splitWords splits at spaces that are not within quotes, and takes the quotes away.
func splitWords(line string) []string {
	var words []string
	var word strings.Builder
	quoted, begun := false, false
	for _, r := range line + " " {
		switch {
		case r == '"':
			quoted, begun = !quoted, true
		case r == ' ' && !quoted:
			if begun {
				words = append(words, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteRune(r)
			begun = true
		}
	}
	return words
}

// inputLine is one line of an input.
type inputLine struct {
	t      *testing.T
	number int
	noun   string
	words  []string
	values map[string]string
}

func (in *inputLine) strategy(text string) *configv1.Strategy {
	in.t.Helper()
	if spec := rollout.Shipped(text); spec != nil {
		return spec
	}
	var spec configv1.Strategy
	if err := protojson.Unmarshal([]byte(text), &spec); err != nil {
		in.t.Fatalf("line %d: %v", in.number, err)
	}
	return &spec
}

func (in *inputLine) read(s *rollout.State) {
	in.t.Helper()
	switch in.noun {
	case "rollout":
		in.rollout(s)
	case "unchanged":
		s.Unchanged = true
	case "leading":
		s.LeadingSince = in.age("since", 0)
	case "jump":
		s.ClockOffset = goldenNow.Sub(in.age("by", 0))
	case "waiting":
		s.Waiting = &rollout.Rollout{
			ID: 2, FleetID: 1, Revision: in.number64("revision", 6), State: rollout.Queued, Version: 1, Supersede: in.value("supersede", "no") == "yes",
		}
	case "expected":
		s.Rollout.Expected = append(s.Rollout.Expected, rollout.Expected{
			Route: in.value("route", ""), Metric: in.word(0), Share: float64(in.number64("percent", 0)) / 100,
		})
	case "answered":
		s.Answers = append(s.Answers, rollout.Answered{
			Gate: in.word(0), Verdict: in.word(1), Explanation: in.value("words", ""), At: in.age("age", 0), PassedAt: in.age("passed", -1),
		})
	case "shadow":
		s.Shadow.Sampled, s.Shadow.Different = in.number64("sampled", 0), in.number64("different", 0)
	case "difference":
		s.Shadow.Differences = append(s.Shadow.Differences, rollout.Difference{
			StableRoute: in.value("route", ""), StableDecision: in.value("stable", ""), CandidateRoute: in.value("route", ""),
			CandidateDecision: in.value("candidate", ""), Requests: in.number64("requests", 0), Example: in.value("example", "GET /"),
		})
	case "agent":
		in.agent(s)
	case "member":
		s.Members = append(s.Members, rollout.Member{
			AgentID: in.word(0), Name: in.word(0), BootID: in.value("boot", "b1"), LostSince: in.age("lost", -1),
		})
		s.Rollout.Agents++
	case "request":
		s.Requests = append(s.Requests, rollout.Request{
			ID: in.number64("id", 9), RolloutID: in.number64("rollout", 1), Command: rollout.Command(in.word(0)),
			Actor: in.value("by", "ada"), Reason: in.value("reason", ""),
		})
	case "sum":
		sum := rollout.Sum{
			Metric: in.word(0), Route: in.value("route", ""), SharePPM: in.share(s.Rollout.SharePPM),
			Candidate: in.number64("candidate", 0), Control: in.number64("control", 0), InStable: in.value("in_stable", "yes") == "yes",
		}
		s.Sums = append(s.Sums, sum)
		if !sum.InStable {
			sum.Route = ""
			s.NewRoutes = append(s.NewRoutes, sum)
		}
	case "verdict":
		s.Verdicts = append(s.Verdicts, rollout.Verdict{
			Metric: in.word(0), Route: in.value("route", ""), Verdict: "inconclusive", At: in.age("age", 10*time.Second),
			LogPeak: float64(in.number64("log_peak", 0)),
		})
	default:
		in.t.Fatalf("line %d: no noun %q", in.number, in.noun)
	}
}

func (in *inputLine) rollout(s *rollout.State) {
	r := &s.Rollout
	r.State = in.word(0)
	r.Step = int(in.number64("step", 0))
	r.StableRevision = in.number64("stable", 4)
	r.Extensions = int(in.number64("extensions", 0))
	r.BaseRequests = in.number64("base", 0)
	r.Promoted = in.value("promoted", "no") == "yes"
	r.SharePPM = in.share(0)
	r.StartedAt, r.StepAt = in.age("started", -1), in.age("step_at", -1)
	r.ServingAt, r.PausedAt, r.DialsAt = in.age("serving_at", -1), in.age("paused_at", -1), r.StepAt
	if r.StartedAt.IsZero() {
		r.StartedAt = r.StepAt
	}
}

func (in *inputLine) agent(s *rollout.State) {
	agent := rollout.Agent{
		ID: in.word(0), Name: in.value("name", in.word(0)), BootID: in.value("boot", "b1"), Alive: true,
		ConnectedAt: in.age("connected", time.Hour), Acknowledged: rollout.Generation{Epoch: 1, Number: in.number64("generation", 7)},
		Status: in.value("status", "serving"), Error: in.value("error", ""), Candidate: in.number64("candidate", s.Rollout.Revision),
		FailedRollout: in.number64("failed", 0), SeenAt: in.age("seen", time.Hour),
	}
	if region := in.value("region", ""); region != "" {
		agent.Labels = map[string]string{"region": region}
	}
	for _, word := range in.words[1:] {
		switch word {
		case "lost":
			agent.Alive = false
		case "drain":
			agent.Drain = true
		}
	}
	s.Agents = append(s.Agents, agent)
}

func (in *inputLine) word(i int) string {
	in.t.Helper()
	if i >= len(in.words) {
		in.t.Fatalf("line %d: a word is missing", in.number)
	}
	return in.words[i]
}

func (in *inputLine) value(key, fallback string) string {
	if value, ok := in.values[key]; ok {
		return value
	}
	return fallback
}

func (in *inputLine) number64(key string, fallback int64) int64 {
	in.t.Helper()
	value, ok := in.values[key]
	if !ok {
		return fallback
	}
	number, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		in.t.Fatalf("line %d: %v", in.number, err)
	}
	return number
}

func (in *inputLine) share(fallback int32) int32 {
	in.t.Helper()
	if _, ok := in.values["share"]; !ok {
		return fallback
	}
	return int32(in.number64("share", 0) * 10_000)
}

// age is a moment before now; a negative fallback is no moment at all.
func (in *inputLine) age(key string, fallback time.Duration) time.Time {
	in.t.Helper()
	if value, ok := in.values[key]; ok {
		age, err := time.ParseDuration(value)
		if err != nil {
			in.t.Fatalf("line %d: %v", in.number, err)
		}
		return goldenNow.Add(-age)
	}
	if fallback < 0 {
		return time.Time{}
	}
	return goldenNow.Add(-fallback)
}
