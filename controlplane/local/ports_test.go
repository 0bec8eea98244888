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

func TestFreePortsAreDifferentAndFree(t *testing.T) {
	t.Parallel()
	ports, err := FreePorts(20)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[int]bool)
	for _, port := range ports {
		if seen[port] || port == 0 {
			t.Errorf("port %d came twice or is none", port)
		}
		seen[port] = true
	}
	port, err := FreePort()
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckPort("127.0.0.1", port, "", ""); err != nil {
		t.Error(err)
	}
}
