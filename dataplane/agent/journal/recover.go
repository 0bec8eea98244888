package journal

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"google.golang.org/protobuf/proto"

	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// Recovery says what Open found.
type Recovery struct {
	// Generation is the checkpoint that was used; 0: none, the state began empty.
	Generation uint64
	// Records is the number of records replayed from logs.
	Records int
	// CutBytes were at the end of the newest log and are no whole record: a write that a crash interrupted.
	CutBytes int64
	// Problems says what was damaged, in words; empty after any clean or torn end.
	Problems []string
}

// recovered is what was read, and where the log can be continued: size 0 means that a new generation must begin.
type recovered struct {
	state   *State
	report  Recovery
	newest  uint64 // the highest generation of any file
	logSize int64
	records int64 // bytes of the checkpoint, to compare the log with
}

// readBack finds the newest state that is whole.
func (j *Journal) readBack() (recovered, error) {
	generations, err := j.generations()
	if err != nil {
		return recovered{}, err
	}
	r := recovered{state: newState(j.fleet, j.agentID)}
	if len(generations) > 0 {
		r.newest = generations[0]
	}
	for _, generation := range generations {
		state := newState(j.fleet, j.agentID)
		size, err := j.readCheckpoint(generation, state)
		if err != nil {
			r.problem("checkpoint %d: %v", generation, err)
			continue
		}
		r.state, r.report.Generation, r.records = state, generation, size
		j.replay(&r, generation)
		return r, nil
	}
	return r, nil
}

func (r *recovered) problem(format string, arguments ...any) {
	r.report.Problems = append(r.report.Problems, fmt.Sprintf(format, arguments...))
}

// replay reads the log of a generation and, when newer checkpoints were damaged, the logs after it: the state at a log's
// end is the next checkpoint's. It stops at the first thing that does not fit.
func (j *Journal) replay(r *recovered, generation uint64) {
	for at := generation; at <= r.newest; at++ {
		end, size, err := j.readLog(at, r)
		switch {
		case errors.Is(err, os.ErrNotExist) && at == r.newest:
			return // a crash between a checkpoint and its log
		case err != nil:
			r.problem("log %d, at byte %d: %v", at, end, err)
			return
		case at < r.newest && end < size:
			r.problem("log %d ends in %d bytes that are no record", at, size-end)
			return
		case at == r.newest:
			r.report.CutBytes = size - end
			if len(r.report.Problems) == 0 {
				r.logSize = end
			}
		}
	}
}

// generations lists those that have a checkpoint or a log, the newest first.
func (j *Journal) generations() ([]uint64, error) {
	entries, err := os.ReadDir(j.directory)
	if err != nil {
		return nil, fmt.Errorf("listing the journal: %w", err)
	}
	var all []uint64
	for _, entry := range entries {
		if h, ok := parseName(entry.Name()); ok {
			all = append(all, h.generation)
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	slices.Reverse(all)
	return all, nil
}

// readCheckpoint reads a checkpoint into an empty state; anything but a whole one is an error.
func (j *Journal) readCheckpoint(generation uint64, state *State) (size int64, err error) {
	header := fileHeader{checkpointFile, generation}
	f, err := j.openFile(header)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	frames := frameReader{source: bufio.NewReaderSize(f, 1<<16), sealer: j.sealer, header: header, offset: headerSize}
	for count := uint64(0); ; count++ {
		plain, err := frames.next()
		if errors.Is(err, io.EOF) {
			return 0, fmt.Errorf("it ends after %d records without its end mark", count)
		}
		if err != nil {
			return 0, fmt.Errorf("record %d: %w", count, err)
		}
		if isEndMark(plain, count) {
			return frames.offset, nil
		}
		if err := state.replayRecord(plain); err != nil {
			return 0, fmt.Errorf("record %d: %w", count, err)
		}
	}
}

// readLog replays a log. end is where its last good record ends; err says that what follows was once a whole record and
// does not fit, rather than that it was torn.
func (j *Journal) readLog(generation uint64, r *recovered) (end, size int64, err error) {
	header := fileHeader{logFile, generation}
	f, err := j.openFile(header)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return 0, 0, err
	}
	frames := frameReader{source: bufio.NewReaderSize(f, 1<<16), sealer: j.sealer, header: header, offset: headerSize}
	for {
		end = frames.offset
		plain, err := frames.next()
		if errors.Is(err, io.EOF) || errors.Is(err, errDamaged) {
			return end, info.Size(), nil
		}
		if err != nil {
			return end, info.Size(), err
		}
		if err := r.state.replayRecord(plain); err != nil {
			return end, info.Size(), err
		}
		r.report.Records++
	}
}

// openFile opens a file and reads its header.
func (j *Journal) openFile(header fileHeader) (*os.File, error) {
	f, err := os.Open(filepath.Join(j.directory, header.name()))
	if err != nil {
		return nil, err
	}
	var b [headerSize]byte
	if _, err := io.ReadFull(f, b[:]); err != nil || !header.matches(b[:]) {
		_ = f.Close()
		return nil, errors.New("its header is damaged")
	}
	return f, nil
}

// frameReader reads sealed frames and knows where it is.
type frameReader struct {
	source io.Reader
	sealer *sealer
	header fileHeader
	offset int64
}

func (f *frameReader) next() ([]byte, error) {
	payload, err := ReadFrame(f.source)
	if err != nil {
		return nil, err
	}
	plain, err := f.sealer.unseal(payload, f.header, f.offset)
	if err != nil {
		return nil, fmt.Errorf("it is not sealed for this agent: %w", err)
	}
	f.offset += int64(frameHead + len(payload))
	return plain, nil
}

// replayRecord adds an encoded record, wholly or not at all.
func (s *State) replayRecord(plain []byte) error {
	record := new(agentv1.JournalRecord)
	if err := proto.Unmarshal(plain, record); err != nil {
		return fmt.Errorf("decoding: %w", err)
	}
	next := s.clone()
	if err := next.apply(record); err != nil {
		return err
	}
	next.commit()
	*s = *next
	return nil
}

// endMark closes a checkpoint: a byte that begins no record (field 0 does not exist), and the number of records.
func endMark(records uint64) []byte {
	return binary.LittleEndian.AppendUint64([]byte{0}, records)
}

func isEndMark(plain []byte, records uint64) bool { return string(plain) == string(endMark(records)) }
