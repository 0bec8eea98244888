package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tidegate.dev/e2e/harness"
	"tidegate.dev/e2e/history"
)

// onWord is a strategy whose rollouts wait for a person, so that there is something to abort.
const onWord = `{"name":"on-word","is_default":true,"spec":{"steps":[
	{"agents_percent":100,"traffic_percent":50,"bake":"0s","minimum_samples":0,"approval":true},
	{"agents_percent":100,"traffic_percent":100,"bake":"0s","minimum_samples":0}]}}`

// Operators publish, roll back, abort and approve at once through both replicas, while connections are cut, calls are given up in the
// middle, replicas are killed and Postgres dies. Whatever was answered must be explained by some order of what was asked.
func TestWhatOperatorsDoAtOnceIsAsIfTheyTookTurns(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Agents: 1, ControlPlanes: 2})
	answers(t, s, http.StatusOK, "PUT", "/v1/fleets/default/strategies/on-word", jsonText(onWord))
	answers(t, s, http.StatusOK, "POST", "/v1/fleets", jsonText(`{"name":"quiet"}`))
	recorder := history.NewRecorder()
	first := newOperator(s, recorder, 0, "default")
	first.prepare(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	operators := append(make([]*operator, 7), first)
	var all sync.WaitGroup
	for i := range 7 {
		operators[i] = newOperator(s, recorder, i+1, []string{"default", "default", "quiet"}[i%3])
		all.Go(func() { operators[i].work(ctx) })
	}
	upset(t, s)
	stop()
	all.Wait()

	// What is left when all is quiet again is part of the history too.
	last := newOperator(s, recorder, len(operators)+1, "")
	for _, fleet := range []string{"default", "quiet"} {
		last.fleet = fleet
		last.settle(t)
		recordReverts(t, s, recorder, operators, fleet)
	}
	drawing := filepath.Join(os.TempDir(), "tidegate-history.html")
	whole := recorder.History()
	began := time.Now()
	if err := whole.Check(time.Minute, drawing); err != nil {
		t.Error(err)
	}
	t.Logf("checked in %s", time.Since(began).Round(time.Millisecond))
	describeHistory(t, whole)
	noticesWhatIsWrong(t, whole)
}

// noticesWhatIsWrong changes one answer of a history that holds, and sees to it that the check finds it out.
func noticesWhatIsWrong(t *testing.T, whole history.History) {
	t.Helper()
	wrong, changed := whole.Altered(func(call history.Call, answer history.Answer) (history.Answer, bool) {
		answer.Value += "-wrong"
		return answer, call.Kind == history.Read && answer.Outcome == history.Done
	})
	if err := wrong.Check(time.Minute, ""); !changed || !errors.Is(err, history.ErrNoOrder) {
		t.Errorf("a history in which something is read that nobody wrote: %v", err)
	}
	taken := map[string]int{}
	wrong, changed = whole.Altered(func(call history.Call, answer history.Answer) (history.Answer, bool) {
		if call.Kind != history.Write || answer.Revision == 0 {
			return answer, false
		}
		before, again := taken[call.Fleet]
		taken[call.Fleet], answer.Revision = answer.Revision, before
		return answer, again
	})
	if err := wrong.Check(time.Minute, ""); !changed || !errors.Is(err, history.ErrNoOrder) {
		t.Errorf("a history in which a number is given out twice: %v", err)
	}
}

// upset breaks things for some seconds: connections each second, and in between each replica and Postgres once.
func upset(t *testing.T, s *harness.Stack) {
	t.Helper()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	victims := map[int]string{12: s.Ready.Replicas[0].Name, 26: "postgres", 44: s.Ready.Replicas[1].Name}
	cut := 0
	for round := range 60 {
		<-tick.C
		if victim, ok := victims[round]; ok {
			s.Kill(victim, syscall.SIGKILL)
		} else if round%4 == 0 {
			cut += s.CutConnections()
		}
	}
	t.Logf("%d connections to Postgres were cut", cut)
}

// describeHistory says what the history was about, and that it was about something.
func describeHistory(t *testing.T, h history.History) {
	t.Helper()
	for _, kind := range []struct {
		name string
		kind history.Kind
	}{
		{"writes", history.Write},
		{"publishes of drafts", history.Publish},
		{"reads", history.Read},
		{"looks at head", history.Head},
		{"rollbacks", history.Rollback},
		{"reverts", history.Revert},
	} {
		done, conflicts := h.Count(kind.kind, history.Done), h.Count(kind.kind, history.Conflict)
		t.Logf("%s: %d done, %d conflicts, %d absent, %d without an answer", kind.name, done, conflicts,
			h.Count(kind.kind, history.Absent), h.Count(kind.kind, history.Unknown))
		if done == 0 {
			t.Errorf("the history has no %s that were done", kind.name)
		}
	}
}

// prepare does each thing once, in peace: the first revision goes to all agents at once, and the next ones wait for a word.
func (o *operator) prepare(t *testing.T) {
	t.Helper()
	o.put("s0")
	o.settle(t)
	o.put("s1")
	harness.Eventually(t, 30*time.Second, "a rollout is aborted", func() error {
		if o.abort(o.active()); len(o.ended) == 0 {
			return errors.New("it is not yet")
		}
		return nil
	})
	o.publishDraft("s2")
	o.rollBack(1)
	o.settle(t)
}

// callsEach bounds how much an operator does, so that the history can be checked in seconds.
const callsEach = 120

// operator is one of those who work at once.
type operator struct {
	stack    *harness.Stack
	recorder *history.Recorder
	number   int
	fleet    string
	random   *rand.Rand
	calls    int
	seen     map[string]int // the versions that it saw last
	head     int
	rollouts []string // its own, the newest last

	// ended are the rollouts that it knows to be aborted, and asked when it began to abort each.
	ended map[int]span
	asked map[string]int64
}

// span is the time in which something happened.
type span struct{ begin, end int64 }

func newOperator(s *harness.Stack, recorder *history.Recorder, number int, fleet string) *operator {
	return &operator{
		stack: s, recorder: recorder, number: number, fleet: fleet, random: rand.New(rand.NewPCG(uint64(number), 1)),
		seen: map[string]int{}, ended: map[int]span{}, asked: map[string]int64{},
	}
}

func (o *operator) path(format string, args ...any) string {
	return "/v1/fleets/" + o.fleet + fmt.Sprintf(format, args...)
}

func (o *operator) work(ctx context.Context) {
	for range callsEach {
		if ctx.Err() != nil {
			return
		}
		service := "s" + fmt.Sprint(o.random.IntN(3))
		switch o.random.IntN(12) {
		case 0, 1, 2:
			o.write(service, 0)
		case 3, 4:
			if o.seen[service] > 0 {
				o.write(service, o.seen[service])
			}
		case 5:
			o.publishDraft(service)
		case 6, 7:
			o.read(service)
		case 8:
			o.look()
		case 9:
			if o.head > 0 {
				o.rollBack(1 + o.random.IntN(o.head))
			}
		case 10:
			o.abortOne()
		case 11:
			o.approve()
		}
	}
}

// value is one that nobody else writes.
func (o *operator) value() string {
	o.calls++
	return fmt.Sprintf("http://127.0.0.1:1/%d-%d", o.number, o.calls)
}

func (o *operator) put(service string) {
	call := history.Call{Kind: history.Write, Fleet: o.fleet, Service: service, Value: o.value()}
	o.recorder.Do(o.number, call, func() history.Answer {
		return o.changes(http.MethodPut, o.path("/services/%s", service), fmt.Sprintf(`{"spec":{"url":%q}}`, call.Value))
	})
}

// write puts or, now and then, deletes a service; ifMatch is the version that must be there, or 0.
func (o *operator) write(service string, ifMatch int) {
	call := history.Call{Kind: history.Write, Fleet: o.fleet, Service: service, Value: o.value(), IfMatch: ifMatch}
	method, body := http.MethodPut, fmt.Sprintf(`{"spec":{"url":%q}}`, call.Value)
	if o.random.IntN(8) == 0 {
		method, body, call.Value = http.MethodDelete, "", ""
	}
	var headers []string
	if ifMatch > 0 {
		headers = append(headers, fmt.Sprintf(`If-Match: "r%d"`, ifMatch))
	}
	o.recorder.Do(o.number, call, func() history.Answer {
		return o.changes(method, o.path("/services/%s", service), body, headers...)
	})
}

func (o *operator) publishDraft(service string) {
	var draft struct {
		ID   string `json:"id"`
		Base int    `json:"base_revision"`
	}
	answer := o.recorder.Do(o.number, history.Call{Kind: history.Head, Fleet: o.fleet}, func() history.Answer {
		r := o.once(http.MethodPost, o.path("/changeSets"), `{"message":"a draft"}`, true)
		if r.Status != http.StatusOK || decode(r, &draft) != nil {
			return history.Answer{}
		}
		return history.Answer{Outcome: history.Done, Revision: draft.Base}
	})
	call := history.Call{Kind: history.Publish, Fleet: o.fleet, Service: service, Value: o.value(), Base: draft.Base}
	if answer.Outcome != history.Done {
		return
	}
	edit := fmt.Sprintf(`{"spec":{"url":%q}}`, call.Value)
	if r := o.once(http.MethodPut, o.path("/services/%s?change_set=%s", service, draft.ID), edit, true); r.Status != http.StatusOK {
		return
	}
	o.recorder.Do(o.number, call, func() history.Answer {
		return o.changes(http.MethodPost, o.path("/changeSets/%s:publish", draft.ID), `{}`)
	})
}

func (o *operator) read(service string) {
	o.recorder.Do(o.number, history.Call{Kind: history.Read, Fleet: o.fleet, Service: service}, func() history.Answer {
		var found struct {
			Revision int `json:"revision"`
			Spec     struct {
				URL string `json:"url"`
			} `json:"spec"`
		}
		r := o.patiently(http.MethodGet, o.path("/services/%s", service), "")
		switch {
		case r.Status == http.StatusNotFound:
			o.seen[service] = 0
			return history.Answer{Outcome: history.Absent}
		case r.Status != http.StatusOK || decode(r, &found) != nil:
			o.stack.Errorf("reading a service: %d %s", r.Status, r.Body)
		}
		o.seen[service] = found.Revision
		return history.Answer{Outcome: history.Done, Value: found.Spec.URL, Version: found.Revision}
	})
}

func (o *operator) look() {
	o.recorder.Do(o.number, history.Call{Kind: history.Head, Fleet: o.fleet}, func() history.Answer {
		var found harness.Fleet
		if r := o.patiently(http.MethodGet, o.path(""), ""); r.Status != http.StatusOK || decode(r, &found) != nil {
			o.stack.Errorf("reading the fleet: %d %s", r.Status, r.Body)
		}
		o.head = found.HeadRevision
		return history.Answer{Outcome: history.Done, Revision: found.HeadRevision}
	})
}

func (o *operator) rollBack(to int) {
	o.recorder.Do(o.number, history.Call{Kind: history.Rollback, Fleet: o.fleet, To: to}, func() history.Answer {
		return o.changes(http.MethodPost, o.path("/revisions/%d:rollback", to), `{}`)
	})
}

// abortOne ends the rollout that is under way, or the one that it began last.
func (o *operator) abortOne() {
	id := o.active()
	if own := len(o.rollouts); own > 0 && o.random.IntN(4) == 0 {
		id = o.rollouts[own-1]
	}
	o.abort(id)
}

// abort ends a rollout, if it can still be ended.
func (o *operator) abort(id string) {
	if id == "" {
		return
	}
	if _, again := o.asked[id]; !again {
		o.asked[id] = o.recorder.Now()
	}
	var aborted harness.Rollout
	r := o.once(http.MethodPost, o.path("/rollouts/%s:abort", id), `{"reason":"because"}`, true)
	if r.Status == http.StatusOK && decode(r, &aborted) == nil && aborted.State == "aborted" {
		o.ended[aborted.Revision] = span{o.asked[id], o.recorder.Now()}
	}
}

// approve lets the rollout go on that waits for somebody.
func (o *operator) approve() {
	if id := o.active(); id != "" {
		o.once(http.MethodPost, o.path("/rollouts/%s:approve", id), `{}`, true)
	}
}

// active is the rollout that is under way.
func (o *operator) active() string {
	var fleet struct {
		Active string `json:"active_rollout"`
	}
	if r := o.once(http.MethodGet, o.path(""), "", true); r.Status != http.StatusOK || decode(r, &fleet) != nil {
		return ""
	}
	return fleet.Active
}

// changes sends a write with a key, again until somebody says what came of it; now and then it does neither.
func (o *operator) changes(method, path, body string, headers ...string) history.Answer {
	careless := o.random.IntN(10) == 0
	if !careless {
		headers = append(headers, "Idempotency-Key: "+fmt.Sprintf("%d-%s", o.number, o.value()))
	}
	unanswered := false
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		r := o.once(method, path, body, o.random.IntN(4) > 0, headers...)
		switch {
		case r.Status == http.StatusOK:
			if id := r.Header.Get("Tidegate-Rollout"); id != "" {
				o.rollouts = append(o.rollouts, id)
			}
			revision := 0
			_, _ = fmt.Sscan(r.Header.Get("Tidegate-Revision"), &revision) // without one, nothing changed
			return history.Answer{Outcome: history.Done, Revision: revision}
		case r.Status == http.StatusPreconditionFailed, r.Status == http.StatusConflict && strings.Contains(r.Body, "problems/conflict"):
			return history.Answer{Outcome: history.Conflict}
		case r.Status == http.StatusNotFound && unanswered: // an attempt that nobody answered may still come
			return history.Answer{}
		case r.Status == http.StatusNotFound:
			return history.Answer{Outcome: history.Absent}
		case r.Status != 0 && r.Status < 500:
			o.stack.Errorf("%s %s: %d %s", method, path, r.Status, r.Body)
			return history.Answer{}
		case careless:
			return history.Answer{}
		}
		unanswered = true
	}
	return history.Answer{}
}

// once sends one request to either replica; a status of 0 is no answer. An impatient one may give up in the middle.
func (o *operator) once(method, path, body string, patient bool, headers ...string) harness.Response {
	limit := 10 * time.Second
	if !patient {
		limit = time.Duration(1+o.random.IntN(40)) * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	replicas := o.stack.Ready.Replicas
	r, err := o.stack.Ask(ctx, replicas[o.random.IntN(len(replicas))], method, path, body, headers...)
	if err != nil {
		return harness.Response{}
	}
	return r
}

// patiently reads until it is answered.
func (o *operator) patiently(method, path, body string) harness.Response {
	var r harness.Response
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		if r = o.once(method, path, body, true); r.Status != 0 && r.Status < 500 {
			break
		}
	}
	return r
}

// settle waits until the fleet's rollouts have come to rest, and reads what is there.
func (o *operator) settle(t *testing.T) {
	t.Helper()
	harness.Eventually(t, 2*time.Minute, "the rollouts of "+o.fleet+" have ended", func() error {
		var list struct {
			Rollouts []harness.Rollout `json:"rollouts"`
		}
		r := o.patiently(http.MethodGet, o.path("/rollouts?page_size=20"), "")
		if err := decode(r, &list); err != nil {
			return err
		}
		var open []string
		for _, rollout := range list.Rollouts {
			switch rollout.State {
			case "awaiting_approval":
				o.once(http.MethodPost, o.path("/rollouts/%s:approve", rollout.ID), `{}`, true)
				fallthrough
			case "queued", "running":
				open = append(open, rollout.ID+" is "+rollout.State)
			}
		}
		if len(open) > 0 {
			return fmt.Errorf("rollouts %q", open)
		}
		return nil
	})
	o.look()
	for i := range 3 {
		o.read(fmt.Sprintf("s%d", i))
	}
}
