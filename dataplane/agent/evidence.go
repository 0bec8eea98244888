package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"tidegate.dev/dataplane/agent/journal"
	"tidegate.dev/dataplane/guard"
	"tidegate.dev/dataplane/telemetry"
)

// evidenceInterval is how often what the guard saw is written at most.
const evidenceInterval = time.Second

// evidenceFile keeps on the disk what the guard saw of the candidate, so that neither a restart nor a successor begins anew: alpha is
// spent once a rollout. The file is one frame, replaced as a whole, and of no worth but to the guard: one that is damaged costs
// the evidence alone.
type evidenceFile struct {
	path   string
	writes chan []byte // has room for the newest content

	// Of the loop's goroutine.
	version uint64 // of the guard, when it was last written
	at      time.Time
}

// evidenceRecord is the content of the file.
type evidenceRecord struct {
	Guard guard.Memory `json:"guard"`
	// Units are those that were counted, if the coin is sticky.
	Units *telemetry.UnitsMemory `json:"units,omitempty"`
}

func newEvidenceFile(stateDir string) *evidenceFile {
	return &evidenceFile{path: filepath.Join(stateDir, "evidence"), writes: make(chan []byte, 1)}
}

// read returns what was kept; ok is false if nothing was.
func (e *evidenceFile) read() (record evidenceRecord, ok bool, err error) {
	content, err := os.ReadFile(e.path)
	if errors.Is(err, fs.ErrNotExist) {
		return record, false, nil
	}
	if err != nil {
		return record, false, err
	}
	payload, err := journal.ReadFrame(bytes.NewReader(content))
	if err != nil {
		return record, false, err
	}
	if err := json.Unmarshal(payload, &record); err != nil {
		return evidenceRecord{}, false, err
	}
	return record, true, nil
}

func (e *evidenceFile) encode(record evidenceRecord) ([]byte, error) {
	payload, err := json.Marshal(record)
	if err != nil {
		return nil, err
	}
	return journal.AppendFrame(nil, payload)
}

// queue has the content written soon, in the place of one that waits still.
func (e *evidenceFile) queue(content []byte) {
	select {
	case <-e.writes:
	default:
	}
	e.writes <- content // has room: the loop alone sends
}

// recallEvidence reads what the process before had seen of the candidate.
func (a *Agent) recallEvidence(ctx context.Context) {
	record, ok, err := a.evidence.read()
	switch {
	case err != nil:
		a.log.WarnContext(ctx, "the evidence about the candidate is lost; judging it begins anew", "error", err)
	case ok:
		a.guard.Recall(record.Guard, time.Now())
		a.config.Counters.RecallUnits(record.Units)
	}
}

// keepEvidence has what the guard saw written, if it is time and anything is new.
func (a *Agent) keepEvidence(ctx context.Context, now time.Time) {
	e := a.evidence
	if e.version == a.guard.Version() || now.Sub(e.at) < evidenceInterval {
		return
	}
	content, err := a.evidenceNow(now)
	if err != nil {
		a.log.ErrorContext(ctx, "evidence about the candidate", "error", err)
		return
	}
	if content != nil {
		e.queue(content)
	}
}

// evidenceNow is what is to be written now; nil: nothing.
func (a *Agent) evidenceNow(now time.Time) ([]byte, error) {
	a.evidence.version, a.evidence.at = a.guard.Version(), now
	memory, ok := a.guard.Remember(now)
	if !ok {
		return nil, nil
	}
	return a.evidence.encode(evidenceRecord{Guard: memory, Units: a.config.Counters.RememberUnits()})
}

// writeEvidence is the goroutine that waits for the disk, so that the loop need not.
func (a *Agent) writeEvidence(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case content := <-a.evidence.writes:
			if err := journal.WriteFile(a.evidence.path, content); err != nil {
				a.log.WarnContext(ctx, "evidence about the candidate not kept on the disk", "error", err)
			}
		}
	}
}

// leaveEvidence looks a last time and leaves what was seen to the process that comes next.
func (a *Agent) leaveEvidence() error {
	now := time.Now()
	a.config.Counters.FreezeUnits()
	a.guard.Look(now)
	if a.evidence.version == a.guard.Version() && len(a.evidence.writes) == 0 {
		return nil
	}
	content, err := a.evidenceNow(now)
	if err == nil && content != nil {
		err = journal.WriteFile(a.evidence.path, content)
	}
	if err != nil {
		return fmt.Errorf("leaving the evidence about the candidate to the next process: %w", err)
	}
	return nil
}
