package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// MinimumMajor is the oldest major version of PostgreSQL that the finder accepts.
const MinimumMajor = 14

// Installation is a usable set of PostgreSQL binaries.
type Installation struct {
	Bin     string // Bin is the folder that holds initdb and postgres, without symlinks.
	Version string // Version is the server's version, such as "15.13".
	Major   int    // Major is the major version, such as 15.
	// Root is set when everything the binaries need lies below it, so that the whole may be copied elsewhere.
	Root string
}

// Search says where to look beyond the usual places.
type Search struct {
	// PackageDir is a folder into which the npm package PackageName was installed. Empty: not looked at.
	PackageDir string
	// Major is the one major version that will do, because data of that version exists. 0: any from MinimumMajor.
	Major int
}

// NotFoundError says that the machine has no PostgreSQL that will do, and how to get one.
type NotFoundError struct {
	Major   int      // Major is the major version that was needed; 0 for any from MinimumMajor.
	Looked  []string // Looked lists the places.
	Refused []string // Refused lists what was found and why it would not do.
}

// Error names the places and the commands that install PostgreSQL.
func (e *NotFoundError) Error() string {
	var text strings.Builder
	debian, homebrew := "postgresql", "postgresql@17"
	if e.Major > 0 {
		fmt.Fprintf(&text, "no PostgreSQL %d found, which the existing data needs", e.Major)
		debian, homebrew = fmt.Sprintf("postgresql-%d", e.Major), fmt.Sprintf("postgresql@%d", e.Major)
	} else {
		fmt.Fprintf(&text, "no PostgreSQL (initdb and postgres, version %d or newer) found", MinimumMajor)
	}
	fmt.Fprintf(&text, " (looked in %s)", strings.Join(e.Looked, ", "))
	for _, refused := range e.Refused {
		fmt.Fprintf(&text, "; %s", refused)
	}
	fmt.Fprintf(&text, ". Install it with `sudo apt-get install %s` on Debian or `brew install %s` on macOS, ", debian, homebrew)
	text.WriteString("or set DATABASE_URL to an existing server")
	return text.String()
}

// Find looks for PostgreSQL: on PATH, in the usual places of Debian and macOS (highest version first), then in the
// npm package below search.PackageDir. It runs `postgres --version` of what it finds. When nothing will do, the
// error is a *NotFoundError.
func Find(ctx context.Context, search Search) (Installation, error) {
	missing := &NotFoundError{Major: search.Major, Looked: []string{"PATH"}}
	candidates := onPath(os.Getenv("PATH"))
	for _, pattern := range usualPlaces() {
		missing.Looked = append(missing.Looked, pattern)
		candidates = append(candidates, highestFirst(pattern)...)
	}
	for _, bin := range candidates {
		found, err := inspect(ctx, bin)
		if err == nil {
			err = suits(found, search.Major)
		}
		if err == nil {
			return found, nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			missing.Refused = append(missing.Refused, err.Error())
		}
	}
	if search.PackageDir == "" {
		return Installation{}, missing
	}
	found, err := inspectPackage(ctx, search.PackageDir)
	if err == nil {
		err = suits(found, search.Major)
	}
	if err == nil {
		return found, nil
	}
	missing.Looked = append(missing.Looked, packagePath(search.PackageDir))
	if !errors.Is(err, os.ErrNotExist) {
		missing.Refused = append(missing.Refused, err.Error())
	}
	return Installation{}, missing
}

// onPath gives the folders of the initdb found in each folder of PATH, behind its symlinks: packagers link the
// binaries into a common folder, and Postgres finds its own files relative to the real one.
func onPath(path string) []string {
	var bins []string
	for _, dir := range filepath.SplitList(path) {
		resolved, err := filepath.EvalSymlinks(filepath.Join(dir, "initdb"))
		if err == nil && filepath.IsAbs(resolved) {
			bins = append(bins, filepath.Dir(resolved))
		}
	}
	return bins
}

// usualPlaces are patterns of bin folders: Debian's and PGDG's on Linux; Homebrew's and Postgres.app's on macOS.
func usualPlaces() []string {
	if runtime.GOOS == "darwin" {
		return []string{
			"/opt/homebrew/opt/postgresql@*/bin",
			"/usr/local/opt/postgresql@*/bin",
			"/Applications/Postgres.app/Contents/Versions/*/bin",
		}
	}
	return []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin"}
}

var firstNumber = regexp.MustCompile(`[0-9]+`)

// highestFirst expands a pattern and orders the folders by the number in them, so that 16 stands before 9.
func highestFirst(pattern string) []string {
	bins, err := filepath.Glob(pattern)
	if err != nil {
		return nil
	}
	number := func(bin string) int {
		n, err := strconv.Atoi(firstNumber.FindString(filepath.Base(filepath.Dir(bin))))
		if err != nil {
			return 0
		}
		return n
	}
	slices.SortFunc(bins, func(a, b string) int { return number(b) - number(a) })
	for i, bin := range bins {
		bins[i] = canonicalPath(bin)
	}
	return bins
}

var versionOutput = regexp.MustCompile(`\(PostgreSQL\) (([0-9]+)[^\s]*)`)

// inspect checks that a folder holds both programs and asks for the version.
func inspect(ctx context.Context, bin string) (Installation, error) {
	for _, program := range []string{"initdb", "postgres"} {
		if _, err := os.Stat(filepath.Join(bin, program)); err != nil {
			return Installation{}, fmt.Errorf("looking for PostgreSQL: %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	postgres := filepath.Join(bin, "postgres")
	output, err := exec.CommandContext(ctx, postgres, "--version").CombinedOutput()
	if err != nil {
		return Installation{}, fmt.Errorf("%s does not run: %w: %s", postgres, err, strings.TrimSpace(string(output)))
	}
	match := versionOutput.FindStringSubmatch(string(output))
	if match == nil {
		return Installation{}, fmt.Errorf("%s --version says %q, not a PostgreSQL version", postgres, output)
	}
	major, err := strconv.Atoi(match[2])
	if err != nil {
		return Installation{}, fmt.Errorf("reading the version of %s: %w", postgres, err)
	}
	return Installation{Bin: bin, Version: match[1], Major: major}, nil
}

func suits(found Installation, major int) error {
	switch {
	case major > 0 && found.Major != major:
		return fmt.Errorf("%s is version %s", found.Bin, found.Version)
	case found.Major < MinimumMajor:
		return fmt.Errorf("%s is version %s, older than %d", found.Bin, found.Version, MinimumMajor)
	}
	return nil
}
