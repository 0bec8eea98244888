package local

import (
	"errors"
	"net"
	"testing"
)

func TestPortTakenNamesThePortAndTheFlag(t *testing.T) {
	t.Parallel()
	err := &PortTaken{Port: 8080, Flag: "--proxy-port", Name: "proxy of agent 1"}
	want := "port 8080 (proxy of agent 1) is taken by another program; move it with --proxy-port"
	if err.Error() != want {
		t.Errorf("says %q, want %q", err, want)
	}
}

func TestCheckPort(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"127.0.0.1:0", "0.0.0.0:0"} {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		port := listener.Addr().(*net.TCPAddr).Port
		var taken *PortTaken
		if err := CheckPort("127.0.0.1", port, "console", "--port"); !errors.As(err, &taken) || *taken != (PortTaken{port, "--port", "console"}) {
			t.Errorf("beside a listener on %s: %v, want PortTaken", address, err)
		}
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestHeldPortsAreDifferentFreeAndNobodyElses(t *testing.T) {
	t.Parallel()
	seen := make(map[int]bool)
	for range 2 {
		held, err := HoldPorts(20)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = held.Release() })
		for _, port := range held.Ports {
			if seen[port] || port == 0 {
				t.Errorf("port %d came twice or is none", port)
			}
			seen[port] = true
			if err := CheckPort("127.0.0.1", port, "", ""); err != nil {
				t.Errorf("a program cannot listen on what is held for it: %v", err)
			}
		}
	}
}

func TestReleasedPortsMayBeHeldAgain(t *testing.T) {
	t.Parallel()
	held, err := HoldPorts(1)
	if err != nil {
		t.Fatal(err)
	}
	port := held.Ports[0]
	again := &HeldPorts{}
	if again.try(port); len(again.Ports) != 0 {
		t.Fatal("a held port was given to another")
	}
	if err := held.Release(); err != nil {
		t.Fatal(err)
	}
	if again.try(port); len(again.Ports) != 1 {
		t.Fatal("a released port is not free")
	}
	if err := again.Release(); err != nil {
		t.Fatal(err)
	}
}
