package local

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// createData makes the data folder when there is none. It is built under another name and renamed when whole, so that
// an interrupted creation is started over rather than mistaken for data.
func (p *Postgres) createData(ctx context.Context) error {
	if major, err := dataMajor(p.config.data()); err != nil || major > 0 {
		return err
	}
	p.config.Progress("creating the database")
	unfinished := p.config.data() + ".new"
	if err := os.RemoveAll(unfinished); err != nil {
		return fmt.Errorf("removing unfinished data: %w", err)
	}
	password := rand.Text()
	if err := writePrivate(filepath.Join(p.config.Dir, passwordName), []byte(password+"\n")); err != nil {
		return fmt.Errorf("writing the password of Postgres: %w", err)
	}
	if err := os.Mkdir(unfinished, 0o700); err != nil {
		return fmt.Errorf("making the data folder: %w", err)
	}
	if err := p.account.own(unfinished); err != nil {
		return fmt.Errorf("giving the data folder to Postgres: %w", err)
	}
	if err := p.initdb(ctx, unfinished, password); err != nil {
		return err
	}
	if err := p.createDatabase(ctx, unfinished); err != nil {
		return err
	}
	if err := os.Rename(unfinished, p.config.data()); err != nil {
		return fmt.Errorf("putting the data in place: %w", err)
	}
	return nil
}

// dataMajor is the major version that wrote a data folder; 0 when there is none.
func dataMajor(data string) (int, error) {
	content, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("reading the version of the data: %w", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		return 0, fmt.Errorf("reading the version of the data in %s: %w", data, err)
	}
	return major, nil
}

// initdb hands the password over in a file that only the server's account can read, since arguments are public. The
// order of text is that of bytes (locale C): the same on every machine.
func (p *Postgres) initdb(ctx context.Context, data, password string) error {
	passwordFile := filepath.Join(p.config.Dir, "initdb.password")
	if err := writePrivate(passwordFile, []byte(password+"\n")); err != nil {
		return fmt.Errorf("writing the password for initdb: %w", err)
	}
	defer os.Remove(passwordFile) //nolint:errcheck // a leftover is overwritten, and as private as the original
	if err := p.account.own(passwordFile); err != nil {
		return fmt.Errorf("giving the password to initdb: %w", err)
	}
	arguments := []string{
		"--pgdata=" + data, "--username=" + userName, "--pwfile=" + passwordFile,
		"--auth=scram-sha-256", "--encoding=UTF8", "--locale=C",
	}
	if p.config.Unsafe {
		arguments = append(arguments, "--no-sync")
	}
	output, err := p.program(ctx, "initdb", arguments...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("creating the data with initdb: %w: %s", err, bytes.TrimSpace(output))
	}
	return nil
}

// createDatabase uses the server's single-user mode, which takes SQL on its input and needs no connection.
func (p *Postgres) createDatabase(ctx context.Context, data string) error {
	if p.config.Database == "postgres" { // initdb makes that one.
		return nil
	}
	arguments := []string{"--single", "-D", data, "-c", "exit_on_error=on"}
	if p.config.Unsafe {
		arguments = append(arguments, "-c", "fsync=off")
	}
	create := p.program(ctx, "postgres", append(arguments, "postgres")...)
	create.Stdin = strings.NewReader("CREATE DATABASE " + p.config.Database + ";\n")
	output, err := create.CombinedOutput()
	if err == nil && bytes.Contains(output, []byte("ERROR:")) {
		err = errors.New("refused")
	}
	if err != nil {
		return fmt.Errorf("creating the database %s: %w: %s", p.config.Database, err, bytes.TrimSpace(output))
	}
	return nil
}

// program is a command of the installation, run as the server's account with nothing of our environment: libpq's and
// Postgres's variables (PGDATA, PGPORT) are meant for other servers. Messages come in English, for we read some.
func (p *Postgres) program(ctx context.Context, name string, arguments ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, filepath.Join(p.installation.Bin, name), arguments...)
	command.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
	command.Dir = "/" // A folder that every account can stand in.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.account.wear(command)
	return command
}
