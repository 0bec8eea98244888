package reporter

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"tidegate.dev/dataplane/agent/journal"
)

// While one process of an agent ends what it has begun, its successor reports already. Each has a file of waiting reports for
// itself; what one leaves, the next to start takes over.

// mostFiles is how many processes of one agent may report at a time.
const mostFiles = 4

func filePath(path string, number int) string {
	if number == 0 {
		return path
	}
	return fmt.Sprintf("%s.%d", path, number)
}

// open opens the first file that no other process has.
func (q *queue) open(path string) error {
	for number := range mostFiles {
		file, err := lockFile(filePath(path, number), os.O_CREATE)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			continue
		}
		if err != nil {
			return err
		}
		q.path, q.file = filePath(path, number), file
		return nil
	}
	return errors.New("too many processes report for this agent")
}

func lockFile(path string, flags int) (*os.File, error) {
	file, err := os.OpenFile(path, flags|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// adopt takes over what processes that have ended left in files of their own. What cannot be read is given up with its file.
func (q *queue) adopt(path string) {
	for number := range mostFiles {
		left := filePath(path, number)
		if left == q.path {
			continue
		}
		file, err := lockFile(left, 0)
		if err != nil {
			continue // there is none, or it is another process's
		}
		content, _ := io.ReadAll(io.LimitReader(file, q.diskLimit))
		whole := wholeFrames(content)
		if n, err := q.file.WriteAt(content[:whole], q.written); err == nil {
			q.written += int64(n)
			if number == 0 {
				_ = file.Truncate(0) // it is the name that processes look for first
			} else {
				_ = os.Remove(left)
			}
		}
		_ = file.Close()
	}
}

// wholeFrames is the length of the frames at the beginning that are whole.
func wholeFrames(content []byte) (whole int) {
	rest := bytes.NewReader(content)
	for {
		payload, err := journal.ReadFrame(rest)
		if err != nil {
			return whole
		}
		whole += len(payload) + frameHead
	}
}
