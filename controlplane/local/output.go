package local

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// longestLine is where a line without end is cut, in bytes.
const longestLine = 64 << 10

// keptLines is how many of its last lines a process's error carries.
const keptLines = 20

// prefixer writes the lines of several processes to one writer, one line at a time.
type prefixer struct {
	mu sync.Mutex
	to io.Writer
}

// lines carries what one run of a process writes: with its name before each line to the common writer, without to its
// log, and the last ones into memory. It reads a pipe of its own rather than let os/exec do it, whose Wait would go on
// for as long as any grandchild holds the pipe.
type lines struct {
	name        string
	common      *prefixer
	log         *os.File // nil without a log
	read, write *os.File
	done        chan struct{} // closed when the pipe has ended
	mu          sync.Mutex
	kept        []string
}

// attach makes the pipe and starts to read it.
func (p *prefixer) attach(name string, log *os.File, command *exec.Cmd) (*lines, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("making a pipe for the output: %w", err)
	}
	l := &lines{name: name, common: p, log: log, read: read, write: write, done: make(chan struct{})}
	command.Stdout, command.Stderr = write, write
	go l.copy()
	return l, nil
}

// started gives up our end for writing, which is the process's now.
func (l *lines) started() { _ = l.write.Close() }

// close gives up the pipe and waits for the reader.
func (l *lines) close() {
	_ = l.read.Close()
	<-l.done
}

// drain lets the reader finish what is left, but not for ever: a process that left the group may hold the pipe.
func (l *lines) drain(limit time.Duration) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-l.done:
	case <-timer.C:
	}
	l.close()
}

func (l *lines) copy() {
	defer close(l.done)
	reader := bufio.NewReaderSize(l.read, longestLine)
	for {
		line, err := reader.ReadSlice('\n') // At a full buffer it gives what it has, as a line.
		if len(line) > 0 {
			l.pass(strings.TrimRight(string(line), "\r\n"))
		}
		if err != nil && err != bufio.ErrBufferFull { //nolint:errorlint // ReadSlice gives it bare
			return
		}
	}
}

// pass passes one line on. Nobody can be told that a log cannot be written; the process must not suffer for it.
func (l *lines) pass(line string) {
	l.mu.Lock()
	if len(l.kept) == keptLines {
		l.kept = l.kept[1:]
	}
	l.kept = append(l.kept, line)
	l.mu.Unlock()
	if l.log != nil {
		_, _ = l.log.WriteString(line + "\n")
	}
	l.common.mu.Lock()
	defer l.common.mu.Unlock()
	_, _ = fmt.Fprintf(l.common.to, "%s | %s\n", l.name, line)
}

// last is the last lines, as one text.
func (l *lines) last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.kept, "\n")
}
