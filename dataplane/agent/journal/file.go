package journal

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// The two files of a generation.
const (
	checkpointFile = "checkpoint"
	logFile        = "log"
)

// fileHeader begins every file: what it is and to which generation it belongs.
type fileHeader struct {
	role       string
	generation uint64
}

const headerSize = 16

// bytes is "TGJ", the version of the format, the role's first letter, three zeros, and the generation.
func (h fileHeader) bytes() []byte {
	b := append([]byte("TGJ\x01"), h.role[0], 0, 0, 0)
	return binary.LittleEndian.AppendUint64(b, h.generation)
}

func (h fileHeader) matches(b []byte) bool { return bytes.Equal(b, h.bytes()) }

func (h fileHeader) name() string { return fmt.Sprintf("%s-%016d", h.role, h.generation) }

// parseName reads the name of a file; ok is false for a file that is not ours.
func parseName(name string) (h fileHeader, ok bool) {
	role, number, found := strings.Cut(name, "-")
	if !found || (role != checkpointFile && role != logFile) {
		return h, false
	}
	generation, err := strconv.ParseUint(number, 10, 64)
	if err != nil || generation == 0 || (fileHeader{role, generation}).name() != name {
		return h, false
	}
	return fileHeader{role, generation}, true
}

// WriteFile replaces a file in one step, readable by its owner alone: after a crash there is the old content or the new.
func WriteFile(path string, content []byte) error {
	temporary, err := os.CreateTemp(filepath.Dir(path), ".new-*") // 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temporary.Name()) }()
	if _, err = temporary.Write(content); err == nil {
		err = temporary.Sync()
	}
	if closing := temporary.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := os.Rename(temporary.Name(), path); err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(path))
}

// syncDirectory makes a rename or a new file in it survive a power cut.
func syncDirectory(path string) error {
	directory, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = directory.Close() }()
	return directory.Sync()
}
