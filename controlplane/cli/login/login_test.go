package login_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"tidegate.dev/controlplane/cli/login"
)

func TestAContextComesBackAsItWasWritten(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "deep", "context.json")
	if _, err := login.Read(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("before: %v", err)
	}
	written := login.Context{Server: "http://127.0.0.1:9080", Token: "tga_x", Fleet: "edge"}
	if err := login.Write(file, written); err != nil {
		t.Fatal(err)
	}
	read, err := login.Read(file)
	if err != nil || read != written {
		t.Errorf("read %+v: %v", read, err)
	}
	for path, want := range map[string]os.FileMode{file: 0o600, filepath.Dir(file): 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, want %v (%v)", path, info.Mode(), want, err)
		}
	}
	if token, err := read.ReadToken(); err != nil || token != "tga_x" {
		t.Errorf("token %q: %v", token, err)
	}
	if !read.For("http://127.0.0.1:9080/") || read.For("http://127.0.0.1:9081") || (login.Context{}).For("") {
		t.Error("a context is taken for another server's")
	}
}

func TestFilesThatOthersCanReadAreRefused(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "token")
	for _, c := range []struct {
		content string
		mode    os.FileMode
		ok      bool
	}{
		{"tga_x\n", 0o600, true},
		{"tga_x\n", 0o400, true},
		{"tga_x\n", 0o640, false},
		{"tga_x\n", 0o604, false},
		{"", 0o600, false},
		{"two words\n", 0o600, false},
	} {
		if err := errors.Join(os.RemoveAll(file), os.WriteFile(file, []byte(c.content), c.mode), os.Chmod(file, c.mode)); err != nil {
			t.Fatal(err)
		}
		if _, err := login.ReadToken(file); (err == nil) != c.ok {
			t.Errorf("%q with mode %o: %v", c.content, c.mode, err)
		}
	}
}

func TestWhereTheContextLies(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		env  map[string]string
		want string
	}{
		{map[string]string{"HOME": "/home/a"}, "/home/a/.config/tidegate/context.json"},
		{map[string]string{"HOME": "/home/a", "XDG_CONFIG_HOME": "/etc/a"}, "/etc/a/tidegate/context.json"},
		{nil, ""},
	} {
		if got, err := login.DefaultFile(func(name string) string { return c.env[name] }); got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%v: %q %v", c.env, got, err)
		}
	}
}
