package declarative

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxFile bounds one file, in bytes. The largest real description that was imported (GitHub's) makes 0.3 MiB.
const maxFile = 64 << 20

// Load reads files, folders (every .yaml and .yml below them, in the order of their paths) and "-" (standard input) as one
// set. When something in them is wrong, the error is Problems, all of them.
func Load(paths []string, stdin io.Reader) (*Set, error) {
	set := &Set{}
	var problems Problems
	for _, path := range paths {
		files, err := expand(path)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			content, err := readFile(file, stdin)
			if err != nil {
				return nil, err
			}
			problems = append(problems, set.parse(displayName(file), content)...)
		}
	}
	return set, problems.orNil()
}

// Parse reads one file's content; name stands in positions.
func Parse(name string, content []byte) (*Set, error) {
	set := &Set{}
	return set, set.parse(name, content).orNil()
}

func displayName(file string) string {
	if file == "-" {
		return "<stdin>"
	}
	return file
}

func expand(path string) ([]string, error) {
	if path == "-" {
		return []string{path}, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, pathCause(err))
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	var files []string
	// With the slash, a link to a folder is followed.
	err = filepath.WalkDir(path+string(filepath.Separator), func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := strings.HasPrefix(filepath.Base(file), ".") && filepath.Clean(file) != filepath.Clean(path)
		if entry.IsDir() && hidden {
			return filepath.SkipDir
		}
		if extension := filepath.Ext(file); !entry.IsDir() && !hidden && (extension == ".yaml" || extension == ".yml") {
			files = append(files, file)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the folder %s: %w", path, err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("reading the folder %s: it holds no .yaml or .yml file", path)
	}
	slices.Sort(files)
	return files, nil
}

// pathCause drops the path that the caller names anyway.
func pathCause(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}

func readFile(file string, stdin io.Reader) ([]byte, error) {
	source := stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", file, pathCause(err))
		}
		defer f.Close() //nolint:errcheck // only read from
		source = f
	}
	content, err := io.ReadAll(io.LimitReader(source, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", displayName(file), pathCause(err))
	}
	if len(content) > maxFile {
		return nil, fmt.Errorf("reading %s: it is larger than %d MiB", displayName(file), maxFile>>20)
	}
	return content, nil
}
