package discovery_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"tidegate.dev/dataplane/discovery"
)

// write replaces a file as careful programs do: by renaming.
func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func fileConfig(path string) discovery.Config {
	return discovery.Config{Kind: discovery.KindFile, File: discovery.FileConfig{Path: path}}
}

func inFolder(dir string) discovery.Environment {
	e := environment()
	e.FilesDir = dir
	return e
}

func TestAFileIsReadWheneverItChanges(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "orders.yaml")
	write(t, path, "- {address: '10.0.0.2:80', weight: 3, zone: east}\n- address: 10.0.0.1:80\n")
	r := run(t, fileConfig("orders.yaml"), inFolder(dir))
	first := discovery.Target{Address: "10.0.0.2:80", Weight: 3, Zone: "east"}
	r.want(t, append(targets("10.0.0.1:80"), first)...)
	write(t, path, `[{"address": "10.0.0.3:80"}]`)
	r.want(t, targets("10.0.0.3:80")...)
	// As careless programs do.
	if err := os.WriteFile(path, []byte("- address: localhost:81\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.want(t, targets("localhost:81")...)
	write(t, path, "[]")
	r.want(t)
}

func TestAFileThatIsWrongTakesNothingAway(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "orders.yaml")
	write(t, path, "- address: 10.0.0.1:80\n")
	r := run(t, fileConfig("orders.yaml"), inFolder(dir))
	r.want(t, targets("10.0.0.1:80")...)
	for content, want := range map[string]string{
		"":                                     "is empty",
		"- address: 10.0.0.1:80\n  wait: 3\n":  `line 2: there is no field "wait"`,
		strings.Repeat("# 3456789\n", 110_000): "longer",
	} {
		write(t, path, content)
		r.until(t, want, func(s discovery.Status) bool { return strings.Contains(s.LastError, want) })
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	r.until(t, "no file", func(s discovery.Status) bool { return strings.Contains(s.LastError, "no such file") })
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	r.until(t, "a pipe", func(s discovery.Status) bool { return strings.Contains(s.LastError, "is no file") })
	r.none(t)
	write(t, path, "- address: 10.0.0.2:80\n")
	r.want(t, targets("10.0.0.2:80")...)
}

func TestAConfigMapIsFollowedThroughItsLinks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mount := filepath.Join(dir, "targets")
	// What kubelet does: a folder for each version, a link to it that is turned, and links for the files.
	version := func(name, content string) {
		if err := os.MkdirAll(filepath.Join(mount, name), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(mount, name, "orders.yaml"), content)
		if err := os.Symlink(name, filepath.Join(mount, "..data_tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(mount, "..data_tmp"), filepath.Join(mount, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	version("..2026_1", "- address: 10.0.0.1:80\n")
	if err := os.Symlink(filepath.Join("..data", "orders.yaml"), filepath.Join(mount, "orders.yaml")); err != nil {
		t.Fatal(err)
	}
	r := run(t, fileConfig("targets/orders.yaml"), inFolder(dir))
	r.want(t, targets("10.0.0.1:80")...)
	version("..2026_2", "- address: 10.0.0.2:80\n")
	r.want(t, targets("10.0.0.2:80")...)
}

func TestAFolderThatComesLateIsFound(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := run(t, fileConfig("late/orders.yaml"), inFolder(dir))
	r.until(t, "no file", func(s discovery.Status) bool { return strings.Contains(s.LastError, "no such file") })
	if err := os.Mkdir(filepath.Join(dir, "late"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "late", "orders.yaml"), "- address: 10.0.0.1:80\n")
	r.want(t, targets("10.0.0.1:80")...)
}

func TestNoFileOutsideOfTheFolderIsRead(t *testing.T) {
	t.Parallel()
	dir, outside := t.TempDir(), t.TempDir()
	write(t, filepath.Join(outside, "secret.yaml"), "- address: 10.0.0.1:80\n")
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	r := run(t, fileConfig("link/secret.yaml"), inFolder(dir))
	r.until(t, "a refusal", func(s discovery.Status) bool { return strings.Contains(s.LastError, "escapes") })
	r.none(t)
	for _, path := range []string{"../secret.yaml", filepath.Join(outside, "secret.yaml"), "", "a/../../b"} {
		_, err := discovery.New(fileConfig(path), inFolder(dir))
		var wrong *discovery.FieldError
		if !errors.As(err, &wrong) || wrong.Field != "path" {
			t.Errorf("%q: the error is %v", path, err)
		}
	}
	if _, err := discovery.New(fileConfig("a.yaml"), environment()); err == nil || !strings.Contains(err.Error(), "--discovery-dir") {
		t.Errorf("without a folder the error is %v", err)
	}
}
