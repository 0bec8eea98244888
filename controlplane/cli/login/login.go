// Package login keeps who the command line is: a small file with the server and its admin token, which nobody else may read.
package login

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Context is what `tidegate login` and `tidegate up` write down.
type Context struct {
	Server string `json:"server"`
	// Token is the admin token, unless TokenFile says where it is.
	Token     string `json:"token,omitempty"`
	TokenFile string `json:"token_file,omitempty"`
	// Fleet is the one to work on when none is named.
	Fleet string `json:"fleet,omitempty"`
}

// For says whether the context's token belongs to a server.
func (c Context) For(server string) bool {
	return c.Server != "" && strings.TrimSuffix(c.Server, "/") == strings.TrimSuffix(server, "/")
}

// ReadToken is the context's admin token.
func (c Context) ReadToken() (string, error) {
	if c.TokenFile != "" {
		return ReadToken(c.TokenFile)
	}
	return c.Token, nil
}

// DefaultFile is where the context lies when no other place is named: ~/.config/tidegate/context.json, on every system.
func DefaultFile(env func(string) string) (string, error) {
	base := env("XDG_CONFIG_HOME")
	if base == "" {
		home := env("HOME")
		if home == "" {
			return "", errors.New("cannot find the context file: HOME is not set; name one with --context")
		}
		base = filepath.Join(home, ".config")
	}
	return filepath.Join(base, "tidegate", "context.json"), nil
}

// Read reads a context. If there is none, the error is fs.ErrNotExist.
func Read(file string) (Context, error) {
	if err := private(file); err != nil {
		return Context{}, err
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return Context{}, fmt.Errorf("reading the context: %w", err)
	}
	var c Context
	if err := json.Unmarshal(content, &c); err != nil {
		return Context{}, fmt.Errorf("the context %s is damaged; run 'tidegate login' again", file)
	}
	return c, nil
}

// Write writes a context, readable by its owner alone. A reader sees the old one or the new one.
func Write(file string, c Context) error {
	content, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the context: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("writing the context: %w", err)
	}
	return WritePrivate(file, append(content, '\n'))
}

// WritePrivate replaces a file that its owner alone may read (0600). A reader sees the old content or the new.
func WritePrivate(file string, content []byte) error {
	temporary, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-*") // 0600
	if err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	defer func() { _ = os.Remove(temporary.Name()) }() // it is gone when all went well
	_, err = temporary.Write(content)
	if err := errors.Join(err, temporary.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	if err := os.Rename(temporary.Name(), file); err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	return nil
}

// ReadToken reads a token from a file that its owner alone may read.
func ReadToken(file string) (string, error) {
	if err := private(file); err != nil {
		return "", err
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("reading the token: %w", err)
	}
	token := strings.TrimSpace(string(content))
	if token == "" || len(token) > 512 || strings.ContainsAny(token, " \t\r\n") {
		return "", fmt.Errorf("the file %s does not hold one token", file)
	}
	return token, nil
}

// private refuses a file that others may read or write. Pipes (such as <(pass tidegate)) are fine.
func private(file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return fmt.Errorf("reading %s: %w", file, cause(err))
	}
	if mode := info.Mode(); mode.IsRegular() && mode.Perm()&0o077 != 0 {
		return fmt.Errorf("the file %s has mode %04o: others may read it; run: chmod 600 %s", file, mode.Perm(), file)
	}
	return nil
}

func cause(err error) error {
	var wrapped *fs.PathError
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}
