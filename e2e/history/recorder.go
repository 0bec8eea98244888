package history

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
)

// never is the end of a call whose answer was lost: its effect may come at any time.
const never = math.MaxInt64

// Recorder takes down calls and answers. It is safe for concurrent use.
type Recorder struct {
	began time.Time

	mu         sync.Mutex
	operations []porcupine.Operation
}

// NewRecorder begins a history.
func NewRecorder() *Recorder { return &Recorder{began: time.Now()} }

// Now is the present moment of the history. It is monotonic.
func (r *Recorder) Now() int64 { return int64(time.Since(r.began)) }

// Do makes a call and takes it down with its answer.
func (r *Recorder) Do(client int, call Call, do func() Answer) Answer {
	began := r.Now()
	answer := do()
	ended := r.Now()
	if answer.Outcome == Unknown {
		ended = never
	}
	r.Add(client, call, answer, began, ended)
	return answer
}

// Add takes down a call that was made between two moments; end 0: nobody knows when it had its effect.
func (r *Recorder) Add(client int, call Call, answer Answer, begin, end int64) {
	if end == 0 {
		end = never
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.operations = append(r.operations, porcupine.Operation{ClientId: client, Input: call, Output: answer, Call: begin, Return: end})
}

// History is what was taken down so far.
func (r *Recorder) History() History {
	r.mu.Lock()
	defer r.mu.Unlock()
	return History{operations: slices.Clone(r.operations)}
}

// History is a finished one.
type History struct{ operations []porcupine.Operation }

// Count says how many calls of a kind have an outcome.
func (h History) Count(kind Kind, outcome Outcome) int {
	count := 0
	for _, o := range h.operations {
		if o.Input.(Call).Kind == kind && o.Output.(Answer).Outcome == outcome {
			count++
		}
	}
	return count
}

// ErrNoOrder says that no order of the calls explains their answers.
var ErrNoOrder = errors.New("no order explains the answers")

// Check looks for an order of the calls that explains every answer. ErrNoOrder: there is none; that it took longer than limit to look
// for one is another error. A drawing, a page that shows how far an order goes, is made of a history without one unless its path is empty.
func (h History) Check(limit time.Duration, drawing string) error {
	// Whatever was read and not answered says nothing.
	telling := slices.DeleteFunc(slices.Clone(h.operations), func(o porcupine.Operation) bool {
		kind := o.Input.(Call).Kind
		return (kind == Read || kind == Head) && o.Output.(Answer).Outcome == Unknown
	})
	result, info := porcupine.CheckOperationsVerbose(model(), telling, limit)
	switch result {
	case porcupine.Ok:
		return nil
	case porcupine.Unknown:
		return fmt.Errorf("looking for an order of %d calls took longer than %s", len(h.operations), limit)
	case porcupine.Illegal:
	}
	err := fmt.Errorf("%w to %d calls", ErrNoOrder, len(h.operations))
	if drawing == "" {
		return err
	}
	return errors.Join(fmt.Errorf("%w; it is drawn in %s", err, drawing), porcupine.VisualizePath(model(), info, drawing))
}

// Altered is the history with the answers to its calls changed where alter says so: what a check must notice.
func (h History) Altered(alter func(Call, Answer) (Answer, bool)) (altered History, changed bool) {
	altered.operations = slices.Clone(h.operations)
	for i := range altered.operations {
		o := &altered.operations[i]
		if answer, ok := alter(o.Input.(Call), o.Output.(Answer)); ok {
			o.Output = answer
			return altered, true
		}
	}
	return altered, false
}
