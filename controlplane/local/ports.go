package local

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"
)

// PortTaken is the error of a port that another program listens on. It names the flag that moves it.
type PortTaken struct {
	Port int    // Port is the number that is taken.
	Flag string // Flag moves it, such as "--proxy-port".
	Name string // Name says what wanted it, such as "proxy of agent 1".
}

// Error tells what is wrong and what to do.
func (e *PortTaken) Error() string {
	text := fmt.Sprintf("port %d (%s) is taken by another program", e.Port, e.Name)
	if e.Flag != "" {
		text += "; move it with " + e.Flag
	}
	return text
}

// CheckPort says whether a program could listen on host and port now. The error is a *PortTaken when another does.
func CheckPort(host string, port int, name, flag string) error {
	address := net.JoinHostPort(host, strconv.Itoa(port))
	// macOS lets one listen on 127.0.0.1 beside a program that listens on all addresses, so ask whether one answers.
	if connection, err := net.DialTimeout("tcp", address, 500*time.Millisecond); err == nil { //nolint:noctx // it has a bound of its own
		_ = connection.Close()
		return &PortTaken{Port: port, Flag: flag, Name: name}
	}
	listener, err := net.Listen("tcp", address) //nolint:noctx // listening on a number does not wait
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return &PortTaken{Port: port, Flag: flag, Name: name}
	case err != nil && flag != "":
		return fmt.Errorf("port %d (%s) cannot be used: %w; move it with %s", port, name, err, flag)
	case err != nil:
		return fmt.Errorf("port %d (%s) cannot be used: %w", port, name, err)
	}
	return listener.Close()
}

// HeldPorts are free ports that nobody else who asks here is given. They are not those that the kernel gives to whoever asks for any
// port, so that a program may be told one of them, begin seconds later, and still find it free.
type HeldPorts struct {
	Ports []int // Ports of 127.0.0.1, all different.

	// A port is held by a UDP socket of the same number: it lets TCP listen, keeps other holders away, and ends with its process.
	sockets []net.PacketConn
}

// HoldPorts finds so many different ports of 127.0.0.1 that nobody listens on, and holds them until Release or the process's end.
func HoldPorts(count int) (*HeldPorts, error) {
	last := lastHeld()
	h := &HeldPorts{Ports: make([]int, 0, count), sockets: make([]net.PacketConn, 0, count)}
	port := firstHeld + rand.IntN(last-firstHeld+1) //nolint:gosec // spreads those who ask at once; nothing secret
	for tried := 0; tried <= last-firstHeld && len(h.Ports) < count; tried++ {
		h.try(port)
		if port++; port > last {
			port = firstHeld
		}
	}
	if len(h.Ports) == count {
		return h, nil
	}
	return nil, errors.Join(fmt.Errorf("finding free ports: %d of %d between %d and %d", len(h.Ports), count, firstHeld, last), h.Release())
}

// try holds a port if it is free.
func (h *HeldPorts) try(port int) {
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	socket, err := net.ListenPacket("udp", address) //nolint:noctx // listening on a number does not wait
	if err != nil {
		return
	}
	if CheckPort("127.0.0.1", port, "", "") != nil {
		_ = socket.Close()
		return
	}
	h.Ports, h.sockets = append(h.Ports, port), append(h.sockets, socket)
}

// Release lets others have the ports.
func (h *HeldPorts) Release() error {
	var failures []error
	for _, socket := range h.sockets {
		failures = append(failures, socket.Close())
	}
	h.sockets = nil
	return errors.Join(failures...)
}

// firstHeld is where the ports begin that are looked for.
const firstHeld = 10000

// lastHeld is where they end: below those that the kernel gives away by itself, which begin at 32768 on Linux unless it is told
// otherwise, and higher elsewhere.
func lastHeld() int {
	const usual, narrow = 32767, 1000
	var lowest, highest int
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return usual
	}
	if n, err := fmt.Sscan(string(text), &lowest, &highest); n != 2 || err != nil || lowest <= firstHeld+narrow {
		return usual
	}
	return min(usual, lowest-1)
}
