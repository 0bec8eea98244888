package local

import (
	"errors"
	"fmt"
	"net"
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

// FreePort finds a port of 127.0.0.1 that nobody listens on. Nothing keeps it free: listen soon, and be ready to ask
// again.
func FreePort() (int, error) {
	ports, err := FreePorts(1)
	if err != nil {
		return 0, err
	}
	return ports[0], nil
}

// FreePorts finds so many different ports of 127.0.0.1; see FreePort.
func FreePorts(count int) ([]int, error) {
	ports := make([]int, 0, count)
	for range count {
		listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // listening on a number does not wait
		if err != nil {
			return nil, fmt.Errorf("finding a free port: %w", err)
		}
		defer listener.Close() //nolint:errcheck // held until all are found, so that they differ
		address, ok := listener.Addr().(*net.TCPAddr)
		if !ok {
			return nil, fmt.Errorf("finding a free port: %v is not a TCP address", listener.Addr())
		}
		ports = append(ports, address.Port)
	}
	return ports, nil
}
