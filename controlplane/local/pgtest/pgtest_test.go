package pgtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate.dev/controlplane/local"
)

// baseVariable makes the test binary another user of the cluster in that folder, until its input ends.
const baseVariable = "TIDEGATE_PGTEST_TEST_BASE"

func TestMain(m *testing.M) {
	base := os.Getenv(baseVariable)
	if base == "" {
		os.Exit(m.Run())
	}
	url, err := cluster{base: base, idle: testIdle}.url(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(url)
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		os.Exit(1)
	}
}

const testIdle = 400 * time.Millisecond

// connect opens a connection for the test.
func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	connection, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close(context.WithoutCancel(t.Context())) })
	return connection
}

func TestTwoSchemasAreIsolated(t *testing.T) {
	t.Parallel()
	firstURL, first := Schema(t)
	secondURL, second := Schema(t)
	if first == second {
		t.Fatalf("both are %s", first)
	}
	one, two := connect(t, firstURL), connect(t, secondURL)
	for i, connection := range []*pgx.Conn{one, two} {
		if _, err := connection.Exec(t.Context(), fmt.Sprintf("CREATE TABLE same AS SELECT %d AS value", i)); err != nil {
			t.Fatal(err)
		}
	}
	for want, connection := range []*pgx.Conn{one, two} {
		var value int
		if err := connection.QueryRow(t.Context(), "SELECT value FROM same").Scan(&value); err != nil || value != want {
			t.Errorf("read %d, %v; want %d", value, err, want)
		}
	}
	var schema string
	if err := one.QueryRow(t.Context(), "SELECT current_schema()").Scan(&schema); err != nil || schema != first {
		t.Errorf("the schema is %s, %v; want %s", schema, err, first)
	}
}

func TestSchemaIsDroppedAfterTheTest(t *testing.T) {
	t.Parallel()
	var databaseURL, schema string
	t.Run("a test", func(t *testing.T) {
		databaseURL, schema = Schema(t)
		if _, err := connect(t, databaseURL).Exec(t.Context(), "CREATE TABLE leftover ()"); err != nil {
			t.Fatal(err)
		}
	})
	var left int
	if err := connect(t, databaseURL).QueryRow(t.Context(), "SELECT count(*) FROM pg_namespace WHERE nspname = $1", schema).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d schemas left, %v", left, err)
	}
}

func TestSettingsSuitManyParallelTests(t *testing.T) {
	t.Parallel()
	if os.Getenv(databaseVariable) != "" {
		t.Skip("the server is not ours")
	}
	databaseURL, _ := Schema(t)
	connection := connect(t, databaseURL)
	for setting, want := range map[string]string{"max_connections": "200", "fsync": "off"} {
		var value string
		if err := connection.QueryRow(t.Context(), "SELECT current_setting($1)", setting).Scan(&value); err != nil || value != want {
			t.Errorf("%s is %s, %v; want %s", setting, value, err, want)
		}
	}
}

func TestAnotherServerCanBeNamed(t *testing.T) {
	private := Private(t)
	t.Setenv(databaseVariable, private.URL())
	databaseURL, schema := Schema(t)
	if want := withSearchPath(private.URL(), schema); databaseURL != want {
		t.Errorf("the server is %s, want %s", databaseURL, want)
	}
	connect(t, databaseURL)
}

func TestWithSearchPath(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ server, want string }{
		{"postgres://u:p@h:1/d?sslmode=disable", "postgres://u:p@h:1/d?search_path=s&sslmode=disable"},
		{"postgresql://h/d", "postgresql://h/d?search_path=s"},
		{"host=h dbname=d", "host=h dbname=d search_path=s"},
	} {
		if got := withSearchPath(test.server, "s"); got != test.want {
			t.Errorf("%s: %s, want %s", test.server, got, test.want)
		}
	}
}

func TestPrivateServerSurvivesAKill(t *testing.T) {
	t.Parallel()
	private := Private(t)
	if err := execute(t.Context(), private.URL(), "CREATE TABLE kept ()"); err != nil {
		t.Fatal(err)
	}
	if err := private.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := private.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := execute(t.Context(), private.URL(), "SELECT FROM kept"); err != nil {
		t.Error(err)
	}
}

// user is another test binary that uses the cluster.
type user struct {
	command *exec.Cmd
	input   io.WriteCloser
	url     string
}

func startUser(t *testing.T, base string) *user {
	t.Helper()
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), baseVariable+"="+base)
	command.Stderr = os.Stderr
	input, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		t.Fatalf("the other test binary says nothing: %v", err)
	}
	return &user{command: command, input: input, url: strings.TrimSpace(line)}
}

// end lets the binary end by itself, or by SIGKILL.
func (u *user) end(t *testing.T, kill bool) {
	t.Helper()
	if kill {
		if err := u.command.Process.Kill(); err != nil {
			t.Fatal(err)
		}
	}
	_ = u.input.Close()
	if err := u.command.Wait(); err != nil && !kill {
		t.Error(err)
	}
}

// newBase is a folder for a cluster of the test's own.
func newBase(t *testing.T) string {
	t.Helper()
	base, err := local.TempDir("", "tidegate-pgtest-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(base); err != nil {
			t.Error(err)
		}
	})
	return base
}

// instances lists the server folders of a cluster.
func instances(t *testing.T, base string) []string {
	t.Helper()
	users, err := filepath.Glob(filepath.Join(base, "*", usersName))
	if err != nil {
		t.Fatal(err)
	}
	var dirs []string
	for _, dir := range users {
		dirs = append(dirs, filepath.Dir(dir))
	}
	return dirs
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func TestBinariesShareOneServerAndTheLastOneTurnsOffTheLight(t *testing.T) {
	t.Parallel()
	base := newBase(t)
	first := startUser(t, base)
	second := startUser(t, base)
	if first.url != second.url {
		t.Errorf("two servers: %s and %s", first.url, second.url)
	}
	found := instances(t, base)
	if len(found) != 1 {
		t.Fatalf("instances %v, want one", found)
	}
	state, err := local.ReadState(filepath.Join(found[0], serverName))
	if err != nil {
		t.Fatal(err)
	}
	janitor := keeper(found[0])

	first.end(t, true) // Even when killed it is off the list, and its server stays for the others.
	eventually(t, "the janitor strikes the first off the list", func() bool {
		users, err := os.ReadDir(filepath.Join(found[0], usersName))
		return err == nil && len(users) == 1 && users[0].Name() == strconv.Itoa(second.command.Process.Pid)
	})
	connect(t, second.url)
	second.end(t, false)
	eventually(t, "server, janitor and folder are gone", func() bool {
		return !alive(janitor) && local.Ping(t.Context(), state.Address()) != nil && len(instances(t, base)) == 0
	})

	third := startUser(t, base) // Starts anew.
	connect(t, third.url)
	third.end(t, false)
	eventually(t, "the folder is gone", func() bool { return len(instances(t, base)) == 0 })
}

func TestNextServerRemovesWhatAKilledJanitorLeft(t *testing.T) {
	t.Parallel()
	base := newBase(t)
	first := startUser(t, base)
	found := instances(t, base)
	if len(found) != 1 {
		t.Fatalf("instances %v, want one", found)
	}
	state, err := local.ReadState(filepath.Join(found[0], serverName))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(keeper(found[0]), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the janitor is dead", func() bool { return !alive(keeper(found[0])) })
	first.end(t, false)
	if err := os.WriteFile(filepath.Join(found[0], closingName), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	second := startUser(t, base)
	if _, err := os.Stat(found[0]); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the old folder is still there: %v", err)
	}
	if second.url == first.url || local.Ping(t.Context(), state.Address()) == nil {
		t.Error("the old server still runs")
	}
	second.end(t, false)
	eventually(t, "the folder is gone", func() bool { return len(instances(t, base)) == 0 })
}

func TestFoldersOfOthersAreRefused(t *testing.T) {
	t.Parallel()
	base := newBase(t)
	if err := os.Chmod(base, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := (cluster{base: base, idle: testIdle}).url(t.Context()); err == nil {
		t.Error("a folder that anybody can write was used")
	}
}
