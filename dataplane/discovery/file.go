package discovery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// longestFile bounds a file.
	longestFile = 1 << 20
	// settleTime is how long after a change a file is read, so that what comes in several steps is read once.
	settleTime = 20 * time.Millisecond
	// filePause is how often a file is read though nobody said that it changed: a link in it may lead to a folder that is not
	// watched. blindPause is how often if nothing can be watched.
	filePause  = 5 * time.Second
	blindPause = time.Second
)

// fileFollower reads a file whenever something happens in its folder: files are replaced by renaming, and those of a ConfigMap
// by turning a link beside them.
type fileFollower struct {
	// Set once.
	folder string
	path   string

	// What was read last, and what it meant, since most times nothing changed.
	content string
	targets []Target
	err     error
}

func newFileFollower(c FileConfig, e *Environment) *fileFollower {
	return &fileFollower{folder: e.FilesDir, path: filepath.Clean(c.Path)}
}

func (f *fileFollower) follow(ctx context.Context, r *report) error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil { // a machine has a limit of them
		return f.poll(ctx, r)
	}
	defer func() { _ = watcher.Close() }() // it was only read from
	settle := time.NewTimer(0)
	defer settle.Stop()
	for settling := true; ; {
		changed := false
		select {
		case <-ctx.Done():
			return nil
		case event, ok := <-watcher.Events:
			if !ok {
				return errors.New("the watch of the folder ended")
			}
			changed = f.concerns(event.Name)
		case _, ok := <-watcher.Errors: // such as too many events
			changed = ok
		case <-settle.C:
			settling = false
			settle.Reset(f.lookAndWatch(watcher, r))
		}
		if changed && !settling {
			settling = true
			settle.Reset(settleTime)
		}
	}
}

// concerns tells whether a change of a path may change the file: it itself, its folder, or the link beside it that kubelet
// turns.
func (f *fileFollower) concerns(path string) bool {
	name := filepath.Base(path)
	return name == filepath.Base(f.path) || name == "..data" || path == f.watched()
}

func (f *fileFollower) watched() string { return filepath.Join(f.folder, filepath.Dir(f.path)) }

// lookAndWatch reads the file, and tells when it is to be read next though nobody says that it changed. The folder is watched
// before, so that nothing is missed between, and anew each time, since a folder can be replaced.
func (f *fileFollower) lookAndWatch(watcher *fsnotify.Watcher, r *report) time.Duration {
	pause := filePause
	if watcher.Add(f.watched()) != nil {
		pause = blindPause
	}
	f.look(r)
	return pause
}

// poll reads the file from time to time.
func (f *fileFollower) poll(ctx context.Context, r *report) error {
	for {
		f.look(r)
		if !sleep(ctx, blindPause) {
			return nil
		}
	}
}

func (f *fileFollower) look(r *report) {
	targets, err := f.read()
	if err != nil {
		r.failed(err)
		return
	}
	r.found(targets, nil)
}

func (f *fileFollower) read() ([]Target, error) {
	root, err := os.OpenRoot(f.folder)
	if err != nil {
		return nil, fmt.Errorf("opening the folder (--discovery-dir): %w", err)
	}
	defer func() { _ = root.Close() }() // nothing was written
	// Without waiting, since a pipe would wait for its writer.
	file, err := root.OpenFile(f.path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("opening the file: %w", err)
	}
	defer func() { _ = file.Close() }() // nothing was written
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file", f.path)
	}
	content, err := io.ReadAll(io.LimitReader(file, longestFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", f.path, err)
	}
	if len(content) > longestFile {
		return nil, fmt.Errorf("%s is longer than %d bytes", f.path, longestFile)
	}
	return f.parse(string(content))
}

func (f *fileFollower) parse(content string) ([]Target, error) {
	if content != f.content || content == "" {
		f.content = content
		if f.targets, f.err = parseList(content); f.err != nil {
			f.err = fmt.Errorf("%s: %w", f.path, f.err)
		}
	}
	return f.targets, f.err
}
