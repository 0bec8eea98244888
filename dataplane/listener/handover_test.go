package listener

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// successorVariable makes the test's program play a successor.
const successorVariable = "TEST_SUCCESSOR"

// playSuccessor is what the program of the tests does as a successor.
func playSuccessor(role string) error {
	sockets, predecessor, err := Inherited()
	if err != nil {
		return err
	}
	if role == "dies" {
		return errors.New("a successor that dies")
	}
	role, address, _ := strings.Cut(role, " ")
	if address == "" {
		address = "127.0.0.1:1"
	}
	socket, err := sockets.Listen(context.Background(), "http", "tcp", address)
	if err != nil {
		return err
	}
	if role == "hangs" {
		select {}
	}
	if err := sockets.Close(); err != nil {
		return err
	}
	if predecessor == nil {
		return sayHello(socket)
	}
	if err := predecessor.Ready(); err != nil {
		return err
	}
	if err := predecessor.Yielded(context.Background()); err != nil {
		return err
	}
	return sayHello(socket)
}

func sayHello(socket *net.TCPListener) error {
	conn, err := socket.Accept()
	if err != nil {
		return err
	}
	_, err = io.WriteString(conn, "successor "+strconv.Itoa(os.Getpid())+"\n")
	return errors.Join(err, conn.Close())
}

func startSuccessor(t *testing.T, role string, socket *net.TCPListener) *Successor {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(successorVariable, role)
	s, err := StartSuccessor(SuccessorConfig{Path: program, Names: []string{"http"}, Sockets: []*net.TCPListener{socket}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func openPort(t *testing.T) *net.TCPListener {
	t.Helper()
	socket, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	return socket
}

func TestAPortIsHandedOverWithWhatWaitsInItsQueue(t *testing.T) {
	socket := openPort(t)
	waiting, err := net.Dial("tcp", socket.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = waiting.Close() }()
	_ = waiting.SetDeadline(time.Now().Add(20 * time.Second))
	s := startSuccessor(t, "serves", socket)
	if err := s.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	_ = socket.Close()
	if err := s.Yield(); err != nil {
		t.Error(err)
	}
	if got, want := line(waiting), "successor "+strconv.Itoa(s.PID()); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	<-s.ended
	if s.err != nil {
		t.Error(s.err)
	}
}

func TestAPortStaysWithItsProcessWhenTheSuccessorDoesNotGetReady(t *testing.T) {
	for _, role := range []string{"dies", "hangs"} {
		socket := openPort(t)
		s := startSuccessor(t, role, socket)
		limit := 20 * time.Second
		if role == "hangs" {
			limit = 300 * time.Millisecond
		}
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		err := s.Ready(ctx)
		cancel()
		if err == nil {
			t.Errorf("one that %s is ready", role)
		}
		go func() {
			if conn, err := net.Dial("tcp", socket.Addr().String()); err == nil {
				_ = conn.Close()
			}
		}()
		_ = socket.SetDeadline(time.Now().Add(10 * time.Second))
		conn, err := socket.Accept()
		if err != nil {
			t.Fatalf("after one that %s: %v", role, err)
		}
		_ = conn.Close()
	}
}

func TestPortsAreFoundByNameAndByAddress(t *testing.T) {
	t.Parallel()
	one, other := openPort(t), openPort(t)
	s := &Sockets{given: []givenSocket{{name: "tidegate-agent.socket", socket: one}, {name: "https", socket: other}}}
	if got, err := s.Listen(t.Context(), "https", "tcp", "127.0.0.1:1"); err != nil || got != other {
		t.Error("by name:", err)
	}
	if got, err := s.Listen(t.Context(), "http", "tcp", one.Addr().String()); err != nil || got != one {
		t.Error("by address:", err)
	}
	opened, err := s.Listen(t.Context(), "ops", "tcp", "127.0.0.1:0")
	if err != nil || opened == one || opened == other {
		t.Fatal("a new one:", err)
	}
	_ = opened.Close()
	s.given[0].taken = false
	if err := s.Close(); err == nil || !strings.Contains(err.Error(), "tidegate-agent.socket") {
		t.Error("one that nobody wanted is not named:", err)
	}
	for _, c := range []struct {
		open, wanted string
		same         bool
	}{
		{"0.0.0.0:80", ":80", true},
		{"[::]:80", "0.0.0.0:80", true},
		{"127.0.0.1:80", "localhost:80", true},
		{"127.0.0.1:80", "127.0.0.1:81", false},
		{"127.0.0.1:80", "0.0.0.0:80", false},
		{"127.0.0.1:80", "nothing", false},
	} {
		if got := sameAddress(c.open, c.wanted); got != c.same {
			t.Errorf("%s for %s: %v", c.open, c.wanted, got)
		}
	}
}

func TestPortsOfTheServiceManager(t *testing.T) {
	for name, c := range map[string]struct {
		pid, count string
		refused    bool
	}{
		"none":              {"", "", false},
		"another process's": {"1", "2", false},
		"no number":         {strconv.Itoa(os.Getpid()), "x", true},
		"too many":          {strconv.Itoa(os.Getpid()), "100000", true},
		"zero":              {strconv.Itoa(os.Getpid()), "0", false},
	} {
		t.Setenv("LISTEN_PID", c.pid)
		t.Setenv("LISTEN_FDS", c.count)
		s, err := GivenSockets()
		if (err != nil) != c.refused || err == nil && len(s.given) != 0 {
			t.Errorf("%s: %v, %v", name, s, err)
		}
		if os.Getenv("LISTEN_FDS") != "" {
			t.Error("children would believe that they are meant")
		}
	}
}

// TestAPortOfTheServiceManagerIsServed starts a process as systemd does: with the port as its first descriptor, and its own number in
// the environment.
func TestAPortOfTheServiceManagerIsServed(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"http", "tidegate-agent.socket"} {
		socket := openPort(t)
		file, err := socket.File()
		if err != nil {
			t.Fatal(err)
		}
		command := exec.CommandContext(t.Context(), "/bin/sh", "-c", `LISTEN_PID=$$ exec "$0"`, program)
		command.Env = append(os.Environ(), successorVariable+"=serves "+socket.Addr().String(), "LISTEN_FDS=1", "LISTEN_FDNAMES="+name)
		command.ExtraFiles = []*os.File{file}
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		_, _ = file.Close(), socket.Close() // the port is the child's alone
		conn, err := net.Dial("tcp", socket.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		if got := line(conn); got != "successor "+strconv.Itoa(command.Process.Pid) {
			t.Errorf("%s: %q", name, got)
		}
		if err := errors.Join(conn.Close(), command.Wait()); err != nil {
			t.Error(err)
		}
	}
}

func TestTheServiceManagerIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = manager.Close() }()
	t.Setenv("NOTIFY_SOCKET", path)
	if err := Notify(t.Context(), "READY=1"); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, 100)
	n, err := manager.Read(said)
	if err != nil || string(said[:n]) != "READY=1" {
		t.Errorf("%q, %v", said[:n], err)
	}
	t.Setenv("NOTIFY_SOCKET", "")
	if err := Notify(t.Context(), "READY=1"); err != nil {
		t.Error(err)
	}
}
