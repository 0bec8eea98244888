package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// runner measures the scenarios of one run.
type runner struct {
	options  *options
	arena    *arena
	results  *results
	place    placement
	running  map[server]*instance
	subjects []subject
	found    map[string]float64 // saturation of subjects where no scenario measured it
	warm     map[warmth]bool
	routes   int // so many routes are in place
}

// warmUp is how long a subject gets load before it is first measured, in seconds: pools fill, code gets warm.
const warmUp = 1

// warmth says which subject has had load over which protocol since it was started.
type warmth struct {
	server   server
	protocol protocol
}

// measureAll measures everything that was chosen.
func measureAll(ctx context.Context, o *options) (*results, error) {
	r := &runner{options: o, running: map[server]*instance{}, found: map[string]float64{}, warm: map[warmth]bool{}}
	r.results = &results{Time: time.Now().UTC(), Machine: thisMachine(), Versions: versions(ctx, o.needs()), Abouts: map[string]string{}}
	withStack := false
	for _, s := range allSubjects() {
		if slices.Contains(o.Subjects, s.Name) {
			r.subjects = append(r.subjects, s)
			r.results.Abouts[s.Name] = s.About
			withStack = withStack || s.server == gateway{}
		}
	}
	place, err := placementFor(1, r.results.Machine.Processors)
	if err != nil {
		return nil, err
	}
	say("preparing: an upstream, a certificate%s", map[bool]string{true: ", a stack of Tidegate"}[withStack])
	if r.arena, err = openArena(ctx, place.Load, withStack); err != nil {
		return nil, err
	}
	r.results.Machine.LoadRunsFirst = r.arena.runsFirst
	defer r.arena.close()
	defer r.stopAll()
	return r.results, r.measureScenarios(ctx)
}

func (r *runner) measureScenarios(ctx context.Context) error {
	for i, s := range r.options.Scenarios {
		if err := r.scenario(ctx, s, fmt.Sprintf("[%d/%d]", i+1, len(r.options.Scenarios))); err != nil {
			return err
		}
	}
	r.results.Machine.LoadAfter = loadAverage()
	r.results.Seconds = time.Since(r.results.Time).Seconds()
	return nil
}

// say tells whoever waits how far it is.
func say(format string, arguments ...any) { fmt.Fprintf(os.Stderr, format+"\n", arguments...) }

// scenario measures one scenario: in each round every subject once, in an order that turns.
func (r *runner) scenario(ctx context.Context, s scenario, position string) error {
	if err := r.prepare(ctx, s); err != nil {
		return err
	}
	out := scenarioResult{Name: s.Name, About: s.About, Protocol: s.Protocol, Load: s.Load, Tool: s.tool(), Cores: s.Cores}
	var taking []subject
	for _, x := range r.subjects {
		if s.measures(x) {
			taking = append(taking, x)
			out.Subjects = append(out.Subjects, subjectResult{Name: x.Name})
		}
	}
	if len(taking) == 0 {
		return nil
	}
	rounds := s.Rounds
	if r.options.Rounds > 0 && s.Load != idle {
		rounds = r.options.Rounds
	}
	say("%s %s: %s (%d × %d)", position, s.Name, s.About, rounds, len(taking))
	for round := range rounds {
		for turn := range taking {
			i := (turn + round) % len(taking)
			if err := r.turn(ctx, s, taking[i], &out.Subjects[i]); err != nil {
				return err
			}
		}
	}
	r.results.Scenarios = append(r.results.Scenarios, out)
	return nil
}

// turn measures a subject once, and once more if that fails. That a subject fails twice is a result; only the end of the run is
// an error.
func (r *runner) turn(ctx context.Context, s scenario, x subject, out *subjectResult) error {
	if out.Error != "" {
		return nil
	}
	measured, err := r.measure(ctx, s, x)
	if err != nil && ctx.Err() == nil {
		say("  %s: %v; once more", x.Name, err)
		measured, err = r.measure(ctx, s, x)
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		say("  %s: %v", x.Name, err)
		out.Error = err.Error()
	default:
		out.Samples = append(out.Samples, measured)
	}
	return nil
}

func (r *runner) measure(ctx context.Context, s scenario, x subject) (sample, error) {
	if s.Load == idle {
		return r.measureIdle(ctx, s, x)
	}
	i, err := r.instance(ctx, x, s)
	if err != nil {
		return sample{}, err
	}
	q := r.request(s, x, i)
	if q.rate, err = r.rate(ctx, s, x); err != nil {
		return sample{}, err
	}
	if w := (warmth{x.server, s.Protocol}); !r.warm[w] {
		gentle := q
		gentle.seconds = warmUp
		if _, err := drive(ctx, r.arena, gentle); err != nil {
			return sample{}, err
		}
		r.warm[w] = true
	}
	return r.sample(ctx, q, i)
}

// request is what a scenario asks of an instance.
func (r *runner) request(s scenario, x subject, i *instance) request {
	q := request{scenario: s, port: i.http, path: s.path(x.Bare), seconds: s.Seconds}
	if r.options.Duration > 0 {
		q.seconds = int(r.options.Duration.Seconds())
	}
	if s.Protocol != http1 {
		q.port = i.tls
	}
	if s.Policies && !x.Bare {
		q.key = r.arena.key
	}
	if s.Routes > 0 {
		q.paths = r.arena.file("paths")
	}
	return q
}

// sample makes the load and reads what the proxy used for it.
func (r *runner) sample(ctx context.Context, q request, i *instance) (sample, error) {
	pids, err := tree(i.process.pid())
	if err != nil {
		return sample{}, err
	}
	before, err := usedBy(pids)
	if err != nil {
		return sample{}, err
	}
	o, err := drive(ctx, r.arena, q)
	if err != nil {
		return sample{}, err
	}
	after, err := usedBy(pids)
	if err != nil {
		return sample{}, err
	}
	held, err := memoryOf(pids)
	if err != nil {
		return sample{}, err
	}
	if o.Completed == 0 {
		return sample{}, errors.New("no request was answered")
	}
	if o.Failed > o.Completed/1000 {
		return sample{}, fmt.Errorf("%d of %d requests failed", o.Failed, o.Completed)
	}
	used := after.since(before)
	inTime, kept := o.Completed, 0.0
	if o.Scheduled > 0 {
		inTime, kept = o.InTime, float64(o.InTime)/float64(o.Scheduled)
	}
	return sample{
		Requests: o.Completed, Seconds: o.Seconds, Offered: q.rate, Rate: float64(inTime) / o.Seconds, Kept: kept, Failed: o.Failed,
		CPUPerRequest: float64(used.total().Microseconds()) / float64(o.Completed),
		SystemShare:   float64(used.System) / float64(max(1, used.total())),
		P50:           o.P50, P99: o.P99, P999: o.P999, Max: o.Max, Memory: held,
	}, nil
}

func (r *runner) indexOf(name string) int {
	return slices.IndexFunc(r.subjects, func(x subject) bool { return x.Name == name })
}
