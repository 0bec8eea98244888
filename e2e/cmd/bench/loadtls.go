package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"
)

// tlsLoad is the open-loop loader over TLS: as loader.c, but in Go, for the sake of its TLS. This program starts itself for it, so
// that it can have processors of its own.
type tlsLoad struct {
	port, connections int
	path, key         string
	rate              float64       // requests a second
	length, warmUp    time.Duration // requests of the warm-up come first, and their latencies do not count
}

// tlsLoadCommand is the word with which this program is that loader.
const tlsLoadCommand = "load-tls"

func driveTLS(ctx context.Context, a *arena, r request) (outcome, error) {
	program, err := os.Executable()
	if err != nil {
		return outcome{}, fmt.Errorf("finding this program: %w", err)
	}
	program, arguments := a.first(priorityOfLoad, program, tlsLoadCommand, "-port", strconv.Itoa(r.port), "-path", r.path,
		"-rate", fmt.Sprintf("%.1f", r.rate), "-seconds", strconv.Itoa(r.seconds), "-connections", strconv.Itoa(r.scenario.Connections))
	output, err := runTool(ctx, a.load, r.environment(), "", program, arguments...)
	if err != nil {
		return outcome{}, err
	}
	return parseLastLine(output)
}

func runTLSLoad(ctx context.Context, arguments []string, output io.Writer) error {
	flags := flag.NewFlagSet(tlsLoadCommand, flag.ContinueOnError)
	flags.SetOutput(io.Discard) // who calls it sees the error
	l := tlsLoad{key: os.Getenv("BENCH_KEY")}
	flags.IntVar(&l.port, "port", 0, "where to connect")
	flags.StringVar(&l.path, "path", "/", "what to ask for")
	flags.Float64Var(&l.rate, "rate", 100, "requests a second")
	flags.IntVar(&l.connections, "connections", 1, "how many")
	seconds := flags.Int("seconds", 1, "how long")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if l.rate <= 0 || l.connections <= 0 || *seconds <= 0 {
		return errors.New("rate, connections and seconds must be above 0")
	}
	whole := time.Duration(*seconds) * time.Second
	l.warmUp = time.Duration(loaderWarmUp * float64(whole))
	l.length = whole - l.warmUp
	o, err := l.run(ctx)
	if err != nil {
		return err
	}
	return json.NewEncoder(output).Encode(o)
}

// tlsConnection is one connection and what its requests took, in microseconds.
type tlsConnection struct {
	conn      net.Conn
	reader    *bufio.Reader
	latencies []float64
	completed int64
	inTime    int64
	failed    int64
}

func (l *tlsLoad) run(ctx context.Context) (outcome, error) {
	connections, err := l.connect(ctx)
	defer func() {
		for _, c := range connections {
			_ = c.conn.Close() // its work is done
		}
	}()
	if err != nil {
		return outcome{}, err
	}
	began := time.Now()
	until := began.Add(l.warmUp + l.length)
	due := make(chan time.Time, int(l.rate*(l.warmUp+l.length).Seconds()*2)+1000) // all there will be: the schedule never waits
	var workers sync.WaitGroup
	for _, c := range connections {
		workers.Go(func() { l.work(c, due, began.Add(l.warmUp), until) })
	}
	scheduled := l.schedule(ctx, due, began, until)
	close(due)
	workers.Wait()
	return l.sum(connections, scheduled), context.Cause(ctx)
}

func (l *tlsLoad) connect(ctx context.Context) ([]*tlsConnection, error) {
	config := &tls.Config{
		InsecureSkipVerify: true, ServerName: "localhost", NextProtos: []string{"http/1.1"}, //nolint:gosec // it is ours, self-signed
		CurvePreferences: []tls.CurveID{tls.X25519}, MinVersion: tls.VersionTLS13,
	}
	var connections []*tlsConnection
	for range l.connections {
		c, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", loopback(l.port))
		if err != nil {
			return connections, fmt.Errorf("connecting: %w", err)
		}
		connections = append(connections, &tlsConnection{conn: c, reader: bufio.NewReader(c)})
	}
	return connections, nil
}

// schedule hands out the times at which requests should begin, a Poisson process with a fixed seed, when they have come. It
// returns how many there were.
func (l *tlsLoad) schedule(ctx context.Context, due chan<- time.Time, began, until time.Time) (scheduled int64) {
	source := rand.New(rand.NewPCG(20261123, 1)) //nolint:gosec // the same times in each run
	timer := time.NewTimer(0)
	defer timer.Stop()
	for next := began; next.Before(until); next = next.Add(time.Duration(source.ExpFloat64() / l.rate * float64(time.Second))) {
		if wait := time.Until(next); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
				return scheduled
			}
		}
		scheduled++
		select {
		case due <- next:
		default: // twice of what was to be expected: it cannot be
		}
	}
	return scheduled
}

const (
	answerTimeout = 10 * time.Second // a connection that had no answer so long is given up
	drainTimeout  = 5 * time.Second  // what has not begun so long after the end does not begin any more
)

func (l *tlsLoad) work(c *tlsConnection, due <-chan time.Time, measuredFrom, until time.Time) {
	text := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: localhost\r\n", l.path)
	if l.key != "" {
		text += "x-api-key: " + l.key + "\r\n"
	}
	request := []byte(text + "\r\n")
	for intended := range due {
		if time.Now().After(until.Add(drainTimeout)) {
			return
		}
		if err := c.exchange(request); err != nil {
			c.failed++
			return
		}
		ended := time.Now()
		c.completed++
		if !ended.After(until) {
			c.inTime++
		}
		if !intended.Before(measuredFrom) {
			c.latencies = append(c.latencies, float64(ended.Sub(intended).Nanoseconds())/1e3)
		}
	}
}

func (c *tlsConnection) exchange(request []byte) error {
	if err := c.conn.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
		return err
	}
	if _, err := c.conn.Write(request); err != nil {
		return err
	}
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, response.Body)
	if response.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", response.StatusCode)
	}
	return errors.Join(err, response.Body.Close())
}

func (l *tlsLoad) sum(connections []*tlsConnection, scheduled int64) outcome {
	o := outcome{Scheduled: scheduled, Seconds: (l.warmUp + l.length).Seconds()}
	var all []float64
	for _, c := range connections {
		o.Completed += c.completed
		o.InTime += c.inTime
		o.Failed += c.failed
		all = append(all, c.latencies...)
	}
	slices.Sort(all)
	o.P50, o.P99, o.P999, o.Max = quantile(all, 0.5), quantile(all, 0.99), quantile(all, 0.999), quantile(all, 1)
	return o
}
