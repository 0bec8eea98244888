package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// startPostgres runs a server for the test.
func startPostgres(t *testing.T, config Config) *Postgres {
	t.Helper()
	config.Unsafe = true
	if config.Database == "" {
		config.Database = "postgres" // Saves a step.
	}
	postgres, err := Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := postgres.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("stopping: %v", err)
		}
	})
	return postgres
}

// query runs a statement that gives one text, or none.
func query(ctx context.Context, url, sql string) (text string, err error) {
	connection, err := pgx.Connect(ctx, url)
	if err != nil {
		return "", err
	}
	defer connection.Close(context.WithoutCancel(ctx)) //nolint:errcheck // a test reads the result
	rows, err := connection.Query(ctx, sql)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	if rows.Next() {
		err = rows.Scan(&text)
	}
	rows.Close()
	return text, errors.Join(err, rows.Err())
}

func mustQuery(t *testing.T, url, sql string) string {
	t.Helper()
	text, err := query(t.Context(), url, sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return text
}

func TestStartCreatesAServerThatOnlyThePasswordOpens(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(tempDir(t), "postgres")
	writeFile(t, filepath.Join(dir, dataName+".new", "PG_VERSION"), "15\n", 0o600) // Of a creation that was interrupted.
	postgres := startPostgres(t, Config{Dir: dir, Database: "tidegate"})
	state := postgres.State()

	if got := mustQuery(t, postgres.URL(), "SELECT current_user || '@' || current_database()"); got != "tidegate@tidegate" {
		t.Errorf("connected as %s", got)
	}
	if got := mustQuery(t, state.SocketURL(), "SELECT current_user::text"); got != "tidegate" {
		t.Errorf("connected over the socket as %s", got)
	}
	if _, err := query(t.Context(), strings.Replace(postgres.URL(), state.password, "wrong", 1), "SELECT ''"); err == nil {
		t.Error("a wrong password opened the server")
	}
	if got := mustQuery(t, postgres.URL(), "SHOW password_encryption"); got != "scram-sha-256" {
		t.Errorf("passwords are %s", got)
	}
	for _, name := range []string{stateName, passwordName, logName} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v, want mode 0600", name, info, err)
		}
	}
	arguments, err := os.ReadFile("/proc/" + strconv.Itoa(state.PID) + "/cmdline")
	if err == nil && strings.Contains(string(arguments), state.password) {
		t.Error("the password is among the process's arguments")
	}
	if content, err := os.ReadFile(filepath.Join(dir, stateName)); err != nil || strings.Contains(string(content), state.password) {
		t.Errorf("the state holds the password, or cannot be read: %v", err)
	}
	if printed := fmt.Sprintf("%v %+v", state, state); strings.Contains(printed, state.password) {
		t.Errorf("printing the state tells the password: %s", printed)
	}
	if _, err := os.Stat(filepath.Join(dir, "initdb.password")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("initdb's password file is still there: %v", err)
	}
}

func TestStopLeavesNothingButTheData(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	first := startPostgres(t, Config{Dir: dir})
	mustQuery(t, first.URL(), "CREATE TABLE kept AS SELECT 'kept' AS what")
	idle, err := pgx.Connect(t.Context(), first.URL()) // A client that stays must not hold up the end.
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close(context.WithoutCancel(t.Context())) //nolint:errcheck // the server has gone
	state := first.State()
	family, err := childrenOf(state.PID)
	if err != nil || len(family) == 0 {
		t.Fatalf("the server has no children: %v", err)
	}
	guard := first.guard.command.Process.Pid

	if err := first.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, pid := range append(family, state.PID, guard) {
		if runs(pid) {
			t.Errorf("process %d still runs", pid)
		}
	}
	for _, path := range []string{state.SocketDir, filepath.Join(dir, dataName, pidName)} {
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", path, err)
		}
	}
	if err := Ping(t.Context(), state.Address()); err == nil {
		t.Error("something still answers")
	}
	if state, err := ReadState(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the state is %+v, %v", state, err)
	}
	if err := first.Stop(t.Context()); err != nil {
		t.Errorf("stopping twice: %v", err)
	}

	second := startPostgres(t, Config{Dir: dir})
	if got := mustQuery(t, second.URL(), "SELECT what FROM kept"); got != "kept" {
		t.Errorf("the data says %q", got)
	}
	if second.URL() != first.URL() {
		t.Error("the second start has another address, though the port was free")
	}
}

func TestSecondStartReusesTheRunningServer(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	first := startPostgres(t, Config{Dir: dir})
	second := startPostgres(t, Config{Dir: dir})
	if first.Reused() || !second.Reused() {
		t.Errorf("reused: first %v, second %v", first.Reused(), second.Reused())
	}
	if first.URL() != second.URL() || second.State().PID != first.State().PID {
		t.Errorf("the second start found another server: %+v, %+v", first.State(), second.State())
	}
	if err := second.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustQuery(t, first.URL(), "SELECT 'still here'")
	if err := second.Kill(); !errors.Is(err, ErrNotOwner) {
		t.Errorf("killing another's server: %v", err)
	}
}

func TestSecondStartSaysWhenTheOtherDoesNotAnswerAndStopEndsAFrozenServer(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	first := startPostgres(t, Config{Dir: dir})
	if err := first.Freeze(); err != nil {
		t.Fatal(err)
	}
	_, err := Start(t.Context(), Config{Dir: dir, StartTimeout: 200 * time.Millisecond})
	if err == nil || !strings.Contains(err.Error(), "("+strconv.Itoa(os.Getpid())+") holds") {
		t.Errorf("error %v, want one that names the other process", err)
	}
	if err := first.Stop(t.Context()); err != nil {
		t.Errorf("stopping a frozen server: %v", err)
	}
}

func TestRestartAfterKill(t *testing.T) {
	t.Parallel()
	// pgx cannot connect to a socket whose path has a comma, but the server must make it where it was told.
	postgres := startPostgres(t, Config{Dir: filepath.Join(tempDir(t), "a, b")})
	if _, err := os.Stat(filepath.Join(postgres.config.Dir, "run", ".s.PGSQL."+strconv.Itoa(postgres.State().Port))); err != nil {
		t.Errorf("the socket: %v", err)
	}
	url := postgres.URL()
	mustQuery(t, url, "CREATE TABLE kept AS SELECT 'kept' AS what")
	busy, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close(context.WithoutCancel(t.Context())) //nolint:errcheck // the server has gone
	ended := postgres.Ended()
	if err := postgres.Kill(); err != nil {
		t.Fatal(err)
	}
	<-ended
	if err := busy.Ping(t.Context()); err == nil {
		t.Error("a connection outlived the server")
	}
	if err := postgres.Freeze(); err == nil {
		t.Error("a dead server was frozen")
	}
	thief, err := net.Listen("tcp", postgres.State().Address())
	if err != nil {
		t.Fatal(err)
	}
	var taken *PortTaken
	if err := postgres.Restart(t.Context()); !errors.As(err, &taken) { // Not on another port: clients know this one.
		t.Errorf("error %v, want PortTaken", err)
	}
	if err := thief.Close(); err != nil {
		t.Fatal(err)
	}
	if err := postgres.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if postgres.URL() != url {
		t.Error("the address changed")
	}
	if got := mustQuery(t, url, "SELECT what FROM kept"); got != "kept" {
		t.Errorf("the data says %q", got)
	}
}

func TestFreezeAndThaw(t *testing.T) {
	t.Parallel()
	postgres := startPostgres(t, Config{Dir: tempDir(t)})
	connection, err := pgx.Connect(t.Context(), postgres.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close(context.WithoutCancel(t.Context())) //nolint:errcheck // only read from
	if err := postgres.Freeze(); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := Ping(short, postgres.State().Address()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a frozen server answers: %v", err)
	}
	answered := make(chan error, 1)
	go func() { answered <- connection.Ping(t.Context()) }()
	select {
	case err := <-answered:
		t.Errorf("a frozen backend answers: %v", err)
	case <-short.Done():
	}
	if err := postgres.Thaw(); err != nil {
		t.Fatal(err)
	}
	if err := <-answered; err != nil {
		t.Errorf("after the thaw: %v", err)
	}
}

func TestNothingSurvivesAKilledOwnerAndTheNextStartRecovers(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	command := as("owner", "DIR="+dir)
	command.Stderr = os.Stderr
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	var started pids
	if err := json.NewDecoder(stdout).Decode(&started); err != nil {
		t.Fatal(err)
	}
	if err := command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = command.Wait()

	next := startPostgres(t, Config{Dir: dir})
	mustQuery(t, next.URL(), "SELECT ''")
	if got := next.State(); got.PID == started.Postmaster || got.Port != started.Port || got.OwnerPID != os.Getpid() {
		t.Errorf("the next server is %+v, the last was %+v", got, started)
	}
	eventually(t, "the process and its child, which ignores SIGTERM, end", func() bool {
		return !runs(started.Postmaster) && !runs(started.Process) && !runs(started.Grandchild)
	})
}

func TestStartRecoversFromAStalePidFile(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	first := startPostgres(t, Config{Dir: dir})
	pidFile := filepath.Join(dir, dataName, pidName)
	stale, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The number now belongs to a program that is no Postgres.
	other := as("block")
	if err := first.account.reach(os.Args[0]); err == nil {
		other.SysProcAttr = &syscall.SysProcAttr{}
		first.account.wear(other)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer other.Wait()         //nolint:errcheck // killed below
	defer other.Process.Kill() //nolint:errcheck // ended by the test
	_, rest, _ := strings.Cut(string(stale), "\n")
	writeFile(t, pidFile, strconv.Itoa(other.Process.Pid)+"\n"+rest, 0o600)
	second := startPostgres(t, Config{Dir: dir})
	mustQuery(t, second.URL(), "SELECT ''")
	if !runs(other.Process.Pid) {
		t.Error("the other program was killed")
	}
}

func TestStartNamesAPortThatIsTaken(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() //nolint:errcheck // nothing was sent
	port := listener.Addr().(*net.TCPAddr).Port
	dir := tempDir(t)
	_, err = Start(t.Context(), Config{Dir: dir, Port: port, Unsafe: true, Database: "postgres"})
	var taken *PortTaken
	if !errors.As(err, &taken) || taken.Port != port || taken.Flag != "--postgres-port" {
		t.Fatalf("error %v, want PortTaken", err)
	}
	if lock, err := tryLock(filepath.Join(dir, lockName)); err != nil || lock == nil {
		t.Errorf("the failure left the folder locked: %v", err)
	}
}

func TestStartShowsWhyTheServerDoesNotStart(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	first := startPostgres(t, Config{Dir: dir})
	if err := first.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, dataName, "postgresql.conf"), "no_such_setting = 1\n", 0o644)
	_, err := Start(t.Context(), Config{Dir: dir, Database: "postgres"})
	if err == nil || !strings.Contains(err.Error(), "no_such_setting") {
		t.Errorf("error %v, want what the server's log says", err)
	}
	if err := os.Remove(filepath.Join(dir, passwordName)); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), "password is gone") {
		t.Errorf("error %v, want one about the password", err)
	}
	writeFile(t, filepath.Join(dir, dataName, "PG_VERSION"), "99\n", 0o644)
	var missing *NotFoundError
	if _, err := Start(t.Context(), Config{Dir: dir}); !errors.As(err, &missing) || missing.Major != 99 {
		t.Errorf("error %v, want that PostgreSQL 99 is missing", err)
	}
}

func TestLongPathsGetAShortSocket(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(tempDir(t), strings.Repeat("long and spaced ", 6))
	postgres := startPostgres(t, Config{Dir: dir})
	state := postgres.State()
	mustQuery(t, state.SocketURL(), "SELECT ''")
	if err := postgres.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(state.SocketDir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", state.SocketDir, err)
	}
}

func TestExistingServerIsLeftAlone(t *testing.T) {
	t.Parallel()
	postgres, err := Start(t.Context(), Config{DatabaseURL: "postgres://elsewhere/db"})
	if err != nil {
		t.Fatal(err)
	}
	if postgres.URL() != "postgres://elsewhere/db" || !postgres.Reused() || postgres.Ended() != nil {
		t.Errorf("not as given: %s", postgres.URL())
	}
	if err := postgres.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if err := postgres.Restart(t.Context()); !errors.Is(err, ErrNotOwner) {
		t.Errorf("restarting it: %v", err)
	}
}

func TestRootIsToldWhichFolderIsClosed(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root runs Postgres as another user")
	}
	closed := tempDir(t)
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := Start(t.Context(), Config{Dir: filepath.Join(closed, "postgres")})
	if err == nil || !strings.Contains(err.Error(), "folder "+closed+" is closed") {
		t.Errorf("error %v, want one that names the folder", err)
	}
}

func TestPackageInAClosedFolderIsCopied(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root runs Postgres as another user")
	}
	closed, open := tempDir(t), tempDir(t)
	writeFile(t, filepath.Join(closed, "bin", "postgres"), "program", 0o755)
	writeFile(t, filepath.Join(closed, "lib", "libpq.so.5.1"), "library", 0o644)
	if err := os.Symlink("libpq.so.5.1", filepath.Join(closed, "lib", "libpq.so.5")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	user, err := serverAccount()
	if err != nil {
		t.Fatal(err)
	}
	original := Installation{Bin: filepath.Join(closed, "bin"), Root: closed, Version: "18.4", Major: 18}
	for range 2 { // The second finds the copy of the first.
		copied, err := user.withinReach(original, open)
		if err != nil {
			t.Fatal(err)
		}
		if err := user.reach(filepath.Join(copied.Bin, "postgres")); err != nil {
			t.Error(err)
		}
		if info, err := os.Stat(filepath.Join(copied.Bin, "postgres")); err != nil || info.Mode().Perm() != 0o755 {
			t.Errorf("the program is %v, %v", info, err)
		}
		if link, err := os.Readlink(filepath.Join(copied.Root, "lib", "libpq.so.5")); err != nil || link != "libpq.so.5.1" {
			t.Errorf("the link is %q, %v", link, err)
		}
	}
	original.Root = ""
	if _, err := user.withinReach(original, open); err == nil {
		t.Error("an installation that cannot be copied was accepted")
	}
}
