package discovery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

const (
	// longestMemory is how old what was found may be to be used again. Later, addresses may be somebody else's.
	longestMemory = 24 * time.Hour
	// recallPause is how long a source has to find targets before those that were found last are used.
	recallPause = 500 * time.Millisecond
	// saveEvery is how often a change is written at most, renewEvery how often it is written that nothing changed.
	saveEvery  = time.Second
	renewEvery = 10 * time.Minute
	// longestMemoryFile bounds what is read.
	longestMemoryFile = 64 << 20
)

// Memory keeps what sources found, so that an agent that starts while a directory does not answer has the last targets. It may
// be used by several goroutines.
type Memory struct {
	// Set once.
	path string
	log  *slog.Logger

	// Guarded by mu.
	mu      sync.Mutex
	found   map[string]remembered // by source
	changed bool
}

type remembered struct {
	Time    time.Time `json:"time"`
	Targets []Target  `json:"targets"`
}

// OpenMemory reads what was kept in a file. A file that cannot be read is logged, and then nothing is remembered.
func OpenMemory(path string, log *slog.Logger) *Memory {
	m := &Memory{path: path, log: log, found: map[string]remembered{}}
	if err := m.load(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Warn("what discovery found before is lost", "error", err)
		m.found = map[string]remembered{}
	}
	return m
}

func (m *Memory) load() error {
	file, err := os.Open(m.path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // it was only read
	if err := json.NewDecoder(io.LimitReader(file, longestMemoryFile)).Decode(&m.found); err != nil {
		return fmt.Errorf("reading %s: %w", m.path, err)
	}
	return nil
}

// Run writes what is new to the file until ctx ends, and once more then.
func (m *Memory) Run(ctx context.Context) error {
	save, renew := time.NewTicker(saveEvery), time.NewTicker(renewEvery)
	defer save.Stop()
	defer renew.Stop()
	for {
		always := false
		select {
		case <-save.C:
		case <-renew.C:
			always = true
		case <-ctx.Done():
			m.save(true)
			return nil
		}
		m.save(always)
	}
}

// save writes the file as a whole, and logs if it cannot be written: discovery works without it.
func (m *Memory) save(always bool) {
	content := m.encode(always)
	if content == nil {
		return
	}
	next := m.path + ".new"
	err := os.WriteFile(next, content, 0o600)
	if err == nil {
		err = os.Rename(next, m.path)
	}
	if err != nil {
		m.log.Warn("what discovery found is not kept", "file", filepath.Base(m.path), "error", err)
	}
}

// encode is what is to be written, without what is too old; nil if nothing is.
func (m *Memory) encode(always bool) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.changed && (!always || len(m.found) == 0) {
		return nil
	}
	for source, r := range m.found {
		if time.Since(r.Time) > longestMemory {
			delete(m.found, source)
		}
	}
	content, err := json.Marshal(m.found)
	if err != nil {
		m.log.Error("what discovery found cannot be written", "error", err)
		return nil
	}
	m.changed = false
	return content
}

// keep remembers what a source found; nothing is no memory. The targets are not changed by anybody. A nil memory forgets.
func (m *Memory) keep(source string, targets []Target, changed bool) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changed = m.changed || changed
	if len(targets) == 0 {
		delete(m.found, source)
		return
	}
	m.found[source] = remembered{time.Now(), targets}
}

// recall returns what a source found last, if that is not too long ago.
func (m *Memory) recall(source string) (targets []Target, when time.Time, ok bool) {
	if m == nil {
		return nil, time.Time{}, false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.found[source]
	if !ok || time.Since(r.Time) > longestMemory {
		return nil, time.Time{}, false
	}
	return slices.Clone(r.Targets), r.Time, true
}
