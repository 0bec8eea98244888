package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	idleOpeners = 16
	idleClients = 100              // addresses
	idleSettle  = 10 * time.Second // what was needed for the requests alone may go; what is used in this time is used at rest
)

// measureIdle starts the subject anew, opens connections that ask once and then stay, and reads what they cost.
func (r *runner) measureIdle(ctx context.Context, s scenario, x subject) (sample, error) {
	i, err := r.instance(ctx, x, s)
	if err != nil {
		return sample{}, err
	}
	pids, err := tree(i.process.pid())
	if err != nil {
		return sample{}, err
	}
	before, err := memoryOf(pids)
	if err != nil {
		return sample{}, err
	}
	connections, err := openIdle(ctx, i.http, s.Connections)
	defer func() {
		for _, c := range connections {
			if c != nil {
				_ = c.Close() // it carries nothing any more
			}
		}
	}()
	if err != nil {
		return sample{}, err
	}
	opened, err := usedBy(pids)
	if err != nil {
		return sample{}, err
	}
	select {
	case <-time.After(idleSettle):
	case <-ctx.Done():
		return sample{}, context.Cause(ctx)
	}
	rested, err := usedBy(pids)
	if err != nil {
		return sample{}, err
	}
	after, err := memoryOf(pids)
	if err != nil {
		return sample{}, err
	}
	return sample{
		Requests: int64(s.Connections), Connections: s.Connections, Memory: after,
		PerConnection: (after.PSS - before.PSS) / int64(s.Connections),
		AtRest:        rested.since(opened).total().Seconds() / idleSettle.Seconds(),
	}, nil
}

// openIdle opens connections; each has had its answer and stays. What was opened is returned also with an error.
func openIdle(ctx context.Context, port, n int) ([]net.Conn, error) {
	connections := make([]net.Conn, n)
	errs := make([]error, idleOpeners)
	var openers sync.WaitGroup
	for opener := range idleOpeners {
		openers.Go(func() {
			for i := opener; i < n && errs[opener] == nil; i += idleOpeners {
				connections[i], errs[opener] = openOne(ctx, port, i)
			}
		})
	}
	openers.Wait()
	return connections, errors.Join(errs...)
}

// openOne opens a connection that has had its first answer. They come from several addresses, for gateways bound what one
// client may have.
func openOne(ctx context.Context, port, i int) (net.Conn, error) {
	from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i%idleClients))}}
	c, err := from.DialContext(ctx, "tcp", loopback(port))
	if err != nil {
		return nil, fmt.Errorf("opening a connection: %w", err)
	}
	if err := askOnce(c); err != nil {
		return c, fmt.Errorf("asking on a connection: %w", err)
	}
	return c, nil
}

// askOnce sends a request and reads the whole answer, and leaves the connection open.
func askOnce(c net.Conn) error {
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", smallPath(false)); err != nil {
		return err
	}
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return err
	}
	n, err := io.Copy(io.Discard, response.Body)
	if err == nil && (n != smallBody || response.StatusCode != http.StatusOK) {
		err = fmt.Errorf("status %d and %d bytes", response.StatusCode, n)
	}
	_ = response.Body.Close() // it was read to its end
	return err
}
