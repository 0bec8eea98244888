package journal

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// Config says whose journal it is, and how it grows.
type Config struct {
	// StateDir is the agent's folder. The journal is in "journal" below it, its key beside that.
	StateDir string
	// Fleet and AgentID are whose it is; what another wrote is ignored.
	Fleet, AgentID string
	// MinLogSize is the size in bytes below which a log never leads to a checkpoint; 0: 1 MiB.
	MinLogSize int64
	// GrowthFactor is how many times its checkpoint's size a log may reach; 0: 2.
	GrowthFactor int64
}

// Journal is the agent's memory on disk. Its methods are for one goroutine.
type Journal struct {
	directory      string
	fleet, agentID string
	minLogSize     int64
	growth         int64
	sealer         *sealer

	state          *State
	generation     uint64
	log            *os.File
	logSize        int64
	checkpointSize int64
	behind         bool // the disk lacks something that the state has, or may hold something that it has not
	readOnly       bool // another process writes
}

// Open reads what is there, cuts a torn end, and is ready to append. Damage is reported, never an error: an error means
// that the folder cannot be read or written.
func Open(config Config) (*Journal, Recovery, error) {
	j := newJournal(config)
	if err := os.MkdirAll(j.directory, 0o700); err != nil {
		return nil, Recovery{}, fmt.Errorf("opening the journal: %w", err)
	}
	var fresh bool
	var err error
	if j.sealer, fresh, err = openSealer(config.StateDir); err != nil {
		return nil, Recovery{}, err
	}
	r, err := j.readBack()
	if err != nil {
		return nil, Recovery{}, err
	}
	if fresh && r.newest > 0 {
		r.problem("the key of the journal was lost")
	}
	j.state, j.generation, j.checkpointSize = r.state, r.newest, r.records
	if r.logSize == 0 {
		j.behind = r.newest > 0
		return j, r.report, j.rotate()
	}
	return j, r.report, j.resume(r.logSize)
}

// Read reads what is there while another process writes it, and changes nothing: what it finds is some moment's state, and nothing
// can be appended.
func Read(config Config) (*Journal, Recovery, error) {
	j := newJournal(config)
	j.readOnly = true
	var err error
	if j.sealer, err = readSealer(config.StateDir); err != nil {
		return nil, Recovery{}, err
	}
	var r recovered
	// The other process may begin a generation and remove an old one in the middle of this.
	for range readAttempts {
		if r, err = j.readBack(); err != nil {
			return nil, Recovery{}, err
		}
		if len(r.report.Problems) == 0 {
			break
		}
	}
	j.state, j.generation = r.state, r.newest
	return j, r.report, nil
}

// readAttempts is how often Read tries to find a state without gaps.
const readAttempts = 3

func newJournal(config Config) *Journal {
	j := &Journal{
		directory: filepath.Join(config.StateDir, "journal"),
		fleet:     config.Fleet, agentID: config.AgentID,
		minLogSize: config.MinLogSize, growth: config.GrowthFactor,
	}
	if j.minLogSize == 0 {
		j.minLogSize = 1 << 20
	}
	if j.growth == 0 {
		j.growth = 2
	}
	return j
}

// ErrReadOnly says that another process writes the journal.
var ErrReadOnly = errors.New("another process writes the journal")

// ReadOnly tells whether the journal is another process's to write.
func (j *Journal) ReadOnly() bool { return j.readOnly }

// State is what the journal holds now. It is valid until the next Append or Amend.
func (j *Journal) State() *State { return j.state }

// Close closes the log. Everything appended is on the disk already.
func (j *Journal) Close() error {
	if j.log == nil {
		return nil
	}
	return j.log.Close()
}

// Append adds records to the state and the disk, all or none: when it returns nil they are on the disk, when it returns
// an error the state is as before.
func (j *Journal) Append(records ...*agentv1.JournalRecord) error {
	if j.readOnly {
		return ErrReadOnly
	}
	if j.behind {
		if err := j.rotate(); err != nil {
			return err
		}
	}
	next := j.state.clone()
	for _, record := range records {
		if err := next.apply(record); err != nil {
			return fmt.Errorf("appending to the journal: %w", err)
		}
	}
	if err := j.write(records); err != nil {
		j.behind = true
		return fmt.Errorf("appending to the journal: %w", err)
	}
	j.take(next)
	if j.logSize > j.minLogSize && j.logSize > j.growth*j.checkpointSize {
		j.behind = j.rotate() != nil // what was appended is safe in any case; the next Append tries again
	}
	return nil
}

// Amend adds records to the state alone, for what must take effect although the disk refuses it. The next Append writes
// them too.
func (j *Journal) Amend(records ...*agentv1.JournalRecord) error {
	next := j.state.clone()
	for _, record := range records {
		if err := next.apply(record); err != nil {
			return fmt.Errorf("amending the journal: %w", err)
		}
	}
	j.behind = true
	j.take(next)
	return nil
}

func (j *Journal) take(next *State) {
	next.commit()
	*j.state = *next
}

// writeSize is about how many bytes of frames are written at once.
const writeSize = 8 << 20

// write appends frames and makes them durable.
func (j *Journal) write(records []*agentv1.JournalRecord) error {
	size, err := j.writeFrames(records)
	if err == nil {
		err = j.log.Sync()
	}
	if err != nil {
		// Best effort: a later recovery must not find what the caller was told is not there.
		_ = j.log.Truncate(j.logSize)
		return err
	}
	j.logSize = size
	return nil
}

// writeFrames writes frames behind the log's end, most often with one write, and returns where they end.
func (j *Journal) writeFrames(records []*agentv1.JournalRecord) (size int64, err error) {
	var frames []byte
	size = j.logSize
	for i, record := range records {
		plain, err := encode(record)
		if err != nil {
			return 0, err
		}
		sealed := j.sealer.seal(plain, fileHeader{logFile, j.generation}, size+int64(len(frames)))
		if frames, err = AppendFrame(frames, sealed); err != nil {
			return 0, err
		}
		if len(frames) < writeSize && i < len(records)-1 {
			continue
		}
		if _, err := j.log.WriteAt(frames, size); err != nil {
			return 0, err
		}
		size, frames = size+int64(len(frames)), frames[:0]
	}
	return size, nil
}

// resume continues the newest log at the end of its last good record.
func (j *Journal) resume(size int64) error {
	path := filepath.Join(j.directory, fileHeader{logFile, j.generation}.name())
	f, err := os.OpenFile(path, os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("opening the journal's log: %w", err)
	}
	if err := f.Truncate(size); err != nil {
		_ = f.Close()
		return fmt.Errorf("cutting the journal's log: %w", err)
	}
	j.log, j.logSize = f, size
	return nil
}

// rotate begins a generation: the checkpoint first, then its empty log, then the generation before last is deleted.
func (j *Journal) rotate() error {
	before, generation := j.generation, j.generation+1
	if j.behind {
		generation++ // the gap says that the log before does not lead to this checkpoint
	}
	size, err := j.writeCheckpoint(generation)
	if err != nil {
		return fmt.Errorf("writing a checkpoint: %w", err)
	}
	// From here on the new generation is the newest, so the old log must not be written again.
	j.generation, j.checkpointSize, j.behind = generation, size, true
	log, err := j.createLog(generation)
	if err != nil {
		return fmt.Errorf("beginning a log: %w", err)
	}
	if j.log != nil {
		_ = j.log.Close()
	}
	j.log, j.logSize, j.behind = log, headerSize, false
	j.deleteBefore(before)
	return nil
}

func (j *Journal) createLog(generation uint64) (*os.File, error) {
	header := fileHeader{logFile, generation}
	f, err := os.OpenFile(filepath.Join(j.directory, header.name()), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	if _, err = f.Write(header.bytes()); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = syncDirectory(j.directory)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// writeCheckpoint writes the whole state to a temporary file, and gives it its name when it is on the disk.
func (j *Journal) writeCheckpoint(generation uint64) (size int64, err error) {
	header := fileHeader{checkpointFile, generation}
	f, err := os.CreateTemp(j.directory, ".checkpoint-*") // 0600
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	size, err = j.writeRecords(f, header)
	if err == nil {
		err = f.Sync()
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return 0, err
	}
	if err := os.Rename(f.Name(), filepath.Join(j.directory, header.name())); err != nil {
		return 0, err
	}
	return size, syncDirectory(j.directory)
}

func (j *Journal) writeRecords(f *os.File, header fileHeader) (size int64, err error) {
	out := bufio.NewWriterSize(f, 1<<16)
	if _, err := out.Write(header.bytes()); err != nil {
		return 0, err
	}
	size = headerSize
	put := func(plain []byte) error {
		frame, err := AppendFrame(nil, j.sealer.seal(plain, header, size))
		if err != nil {
			return err
		}
		size += int64(len(frame))
		_, err = out.Write(frame)
		return err
	}
	count := uint64(0)
	err = j.state.records(func(record *agentv1.JournalRecord) error {
		plain, err := encode(record)
		if err != nil {
			return err
		}
		count++
		return put(plain)
	})
	if err == nil {
		err = put(endMark(count))
	}
	return size, errors.Join(err, out.Flush())
}

// deleteBefore removes the generations older than the given one. What cannot be removed is tried again the next time.
func (j *Journal) deleteBefore(oldest uint64) {
	generations, err := j.generations()
	if err != nil {
		return
	}
	for _, generation := range generations {
		if generation < oldest {
			_ = os.Remove(filepath.Join(j.directory, fileHeader{checkpointFile, generation}.name()))
			_ = os.Remove(filepath.Join(j.directory, fileHeader{logFile, generation}.name()))
		}
	}
}
