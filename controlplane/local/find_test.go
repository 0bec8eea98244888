package local

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fakeInstallation is a folder with programs that tell a version.
func fakeInstallation(t *testing.T, bin, version string) {
	t.Helper()
	script := "#!/bin/sh\necho 'postgres (PostgreSQL) " + version + "'\n"
	writeFile(t, filepath.Join(bin, "postgres"), script, 0o755)
	writeFile(t, filepath.Join(bin, "initdb"), script, 0o755)
}

func TestFindPrefersPathAndResolvesItsSymlinks(t *testing.T) {
	dir := canonicalPath(t.TempDir())
	cellar := filepath.Join(dir, "Cellar", "bin")
	fakeInstallation(t, cellar, "16.3 (Homebrew)")
	links := filepath.Join(dir, "links")
	writeFile(t, filepath.Join(links, "unrelated"), "", 0o644)
	if err := os.Symlink(filepath.Join(cellar, "initdb"), filepath.Join(links, "initdb")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", links)
	found, err := Find(t.Context(), Search{})
	if err != nil {
		t.Fatal(err)
	}
	if want := (Installation{Bin: cellar, Version: "16.3", Major: 16}); found != want {
		t.Errorf("found %+v, want %+v", found, want)
	}
}

func TestFindTakesTheMajorThatDataNeeds(t *testing.T) {
	dir := canonicalPath(t.TempDir())
	fakeInstallation(t, filepath.Join(dir, "a"), "98.1")
	fakeInstallation(t, filepath.Join(dir, "b"), "97.4")
	t.Setenv("PATH", filepath.Join(dir, "a")+":"+filepath.Join(dir, "b"))
	found, err := Find(t.Context(), Search{Major: 97})
	if err != nil || found.Version != "97.4" {
		t.Errorf("found %+v, %v; want 97.4", found, err)
	}
}

func TestFindSaysHowToInstall(t *testing.T) {
	dir := canonicalPath(t.TempDir())
	fakeInstallation(t, filepath.Join(dir, "old"), "9.6.24")
	t.Setenv("PATH", filepath.Join(dir, "old"))
	_, err := Find(t.Context(), Search{Major: 99, PackageDir: filepath.Join(dir, "packages")})
	var missing *NotFoundError
	if !errors.As(err, &missing) {
		t.Fatalf("error %v, want a NotFoundError", err)
	}
	for _, part := range []string{"apt-get install postgresql-99", "brew install postgresql@99", "DATABASE_URL", "9.6.24", "/packages/"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error lacks %q: %v", part, err)
		}
	}
}

func TestFindRefusesOldVersions(t *testing.T) {
	if err := suits(Installation{Major: MinimumMajor - 1}, 0); err == nil {
		t.Error("a version below the minimum was accepted")
	}
	if err := suits(Installation{Major: MinimumMajor}, 0); err != nil {
		t.Error(err)
	}
}

func TestHighestVersionComesFirst(t *testing.T) {
	dir := canonicalPath(t.TempDir())
	for _, version := range []string{"9", "16", "15", "latest"} {
		writeFile(t, filepath.Join(dir, "postgresql", version, "bin", "postgres"), "", 0o755)
	}
	var order []string
	for _, bin := range highestFirst(filepath.Join(dir, "postgresql", "*", "bin")) {
		order = append(order, filepath.Base(filepath.Dir(bin)))
	}
	if got := strings.Join(order, " "); !strings.HasPrefix(got, "16 15 9") {
		t.Errorf("order is %q", got)
	}
}

func TestFindLooksIntoThePackageAndRestoresItsLinks(t *testing.T) {
	dir := canonicalPath(t.TempDir())
	native := filepath.Join(packagePath(dir), "native")
	fakeInstallation(t, filepath.Join(native, "bin"), "99.4")
	writeFile(t, filepath.Join(native, "lib", "libpq.so.5.99"), "library", 0o644)
	writeFile(t, filepath.Join(native, "pg-symlinks.json"),
		`[{"source":"native/lib/libpq.so.5.99","target":"native/lib/libpq.so.5"}]`, 0o644)
	t.Setenv("PATH", "")
	found, err := Find(t.Context(), Search{Major: 99, PackageDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if found.Root != native || found.Bin != filepath.Join(native, "bin") {
		t.Errorf("found %+v, want it in %s", found, native)
	}
	if content, err := os.ReadFile(filepath.Join(native, "lib", "libpq.so.5")); err != nil || string(content) != "library" {
		t.Errorf("the library's link leads to %q, %v", content, err)
	}
	if err := RestoreLinks(packagePath(dir)); err != nil {
		t.Errorf("restoring links that exist: %v", err)
	}
}

func TestRestoreLinksStaysInsideThePackage(t *testing.T) {
	dir := t.TempDir()
	for _, list := range []string{
		`[{"source":"native/lib/a","target":"../outside"}]`,
		`[{"source":"/etc/passwd","target":"native/lib/a"}]`,
	} {
		writeFile(t, filepath.Join(dir, "native", "pg-symlinks.json"), list, 0o644)
		if err := RestoreLinks(dir); err == nil {
			t.Errorf("%s was accepted", list)
		}
	}
}

func TestStateDirIsInTheCloneUnlessRoot(t *testing.T) {
	t.Parallel()
	clone := canonicalPath(t.TempDir())
	if got, want := stateDir(clone, false), filepath.Join(clone, ".tidegate"); got != want {
		t.Errorf("as a user: %s, want %s", got, want)
	}
	got := stateDir(clone+"/.", true)
	if filepath.Dir(got) != rootStateDir || len(filepath.Base(got)) != 12 {
		t.Errorf("as root: %s, want 12 digits below %s", got, rootStateDir)
	}
	if got == stateDir(filepath.Dir(clone), true) {
		t.Error("two clones share a folder")
	}
}
