package reporter

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/dataplane/agent/journal"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// queue holds reports until they are acknowledged, the oldest first: some in memory, and when there is no room those behind
// them in a file. It is safe for concurrent use.
type queue struct {
	// Set once.
	path        string
	memoryLimit int64
	diskLimit   int64
	changed     chan struct{} // has one entry when something was added

	// Guarded by mu.
	mu     sync.Mutex
	memory []waiting
	size   int64 // of memory
	file   *os.File
	// What is on the disk lies from read to written in the file.
	read, written int64
}

type waiting struct {
	report *agentv1.ReportTelemetryRequest
	size   int64
}

// openQueue begins with what a process before could not get rid of.
func openQueue(path string, memoryLimit, diskLimit int64) (*queue, error) {
	q := &queue{memoryLimit: memoryLimit, diskLimit: diskLimit, changed: make(chan struct{}, 1)}
	if err := q.open(path); err != nil {
		return nil, fmt.Errorf("opening the file of waiting reports: %w", err)
	}
	info, err := q.file.Stat()
	if err != nil {
		return nil, fmt.Errorf("opening the file of waiting reports: %w", errors.Join(err, q.file.Close()))
	}
	q.written = info.Size()
	q.adopt(path)
	q.refill()
	return q, nil
}

// hasRoom says whether a report of the largest size can be kept.
func (q *queue) hasRoom() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.read == q.written && q.size < q.memoryLimit || q.written < q.diskLimit
}

// push adds a report. An error says that it was not kept.
func (q *queue) push(report *agentv1.ReportTelemetryRequest) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	defer q.signal()
	if q.read == q.written && q.size < q.memoryLimit {
		q.remember(report)
		return nil
	}
	payload, err := proto.Marshal(report)
	if err != nil {
		return fmt.Errorf("encoding a report: %w", err)
	}
	frame, err := journal.AppendFrame(nil, payload)
	if err != nil {
		return err
	}
	if _, err := q.file.WriteAt(frame, q.written); err != nil {
		return fmt.Errorf("keeping a report on the disk: %w", err)
	}
	q.written += int64(len(frame))
	return nil
}

func (q *queue) remember(report *agentv1.ReportTelemetryRequest) {
	one := waiting{report, int64(proto.Size(report))}
	q.memory = append(q.memory, one)
	q.size += one.size
}

func (q *queue) signal() {
	select {
	case q.changed <- struct{}{}:
	default:
	}
}

// at gives the report at a place, if there is one.
func (q *queue) at(i int) (*agentv1.ReportTelemetryRequest, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if i >= len(q.memory) {
		return nil, false
	}
	return q.memory[i].report, true
}

// acknowledge removes the reports of a process up to a sequence from the front, and says how many.
func (q *queue) acknowledge(bootID string, through int64) (removed int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for removed < len(q.memory) {
		one := q.memory[removed]
		if one.report.GetBootId() != bootID || one.report.GetSequence() > through {
			break
		}
		q.size -= one.size
		removed++
	}
	q.memory = append([]waiting(nil), q.memory[removed:]...)
	q.refill()
	return removed
}

// dropFirst gives up the first report.
func (q *queue) dropFirst() {
	if first, there := q.at(0); there {
		q.acknowledge(first.GetBootId(), first.GetSequence())
	}
}

// refill brings reports from the disk into memory. What cannot be read is given up: it was torn or damaged.
func (q *queue) refill() {
	for q.read < q.written && q.size < q.memoryLimit {
		payload, err := journal.ReadFrame(io.NewSectionReader(q.file, q.read, q.written-q.read))
		report := new(agentv1.ReportTelemetryRequest)
		if err != nil || proto.Unmarshal(payload, report) != nil {
			q.read = q.written
			break
		}
		q.read += int64(len(payload)) + frameHead
		q.remember(report)
	}
	if q.read == q.written && q.written > 0 {
		q.read, q.written = 0, 0
		_ = q.file.Truncate(0) // a file that stays long is written over
	}
}

// frameHead is what a frame is longer than its payload.
const frameHead = 8

// empty says whether everything was acknowledged.
func (q *queue) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.memory) == 0 && q.read == q.written
}

// close writes what is left to the disk, for the next process.
func (q *queue) close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	defer func() { _ = q.file.Close() }()
	if len(q.memory) == 0 && q.read == 0 {
		return q.file.Truncate(q.written)
	}
	var all []byte
	for _, one := range q.memory {
		payload, err := proto.Marshal(one.report)
		if err != nil {
			return fmt.Errorf("encoding a report: %w", err)
		}
		if all, err = journal.AppendFrame(all, payload); err != nil {
			return err
		}
	}
	tail := make([]byte, q.written-q.read)
	if _, err := q.file.ReadAt(tail, q.read); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading the waiting reports: %w", err)
	}
	if err := journal.WriteFile(q.path, append(all, tail...)); err != nil {
		return fmt.Errorf("keeping the waiting reports: %w", err)
	}
	return nil
}
