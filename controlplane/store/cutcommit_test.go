package store_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"tidegate.dev/controlplane/local/pgtest"
	"tidegate.dev/controlplane/store"
	"tidegate.dev/controlplane/store/storetest"
)

// cutter leads to Postgres, and when it is armed it cuts the next connection that commits: before Postgres hears of it, or when it has
// answered and the answer is on its way.
type cutter struct {
	listener net.Listener
	server   string
	armed    atomic.Int32
	running  sync.WaitGroup
}

const (
	cutNothing int32 = iota
	cutCommit
	cutAnswer
)

// commitQuery is how the driver says it: a simple query (type, length, text, zero).
var commitQuery = []byte("Q\x00\x00\x00\x0bcommit\x00")

func newCutter(t *testing.T, server string) *cutter {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{listener: listener, server: server}
	c.running.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			c.running.Go(func() { c.lead(client) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		c.running.Wait()
	})
	return c
}

func (c *cutter) lead(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := new(net.Dialer).DialContext(context.Background(), "tcp", c.server)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	var muted atomic.Bool
	answered := make(chan struct{})
	c.running.Go(func() {
		defer close(answered)
		buffer := make([]byte, 32<<10)
		for {
			n, err := server.Read(buffer)
			if err != nil || muted.Load() {
				_ = client.Close() // what came is lost
				return
			}
			if _, err := client.Write(buffer[:n]); err != nil {
				return
			}
		}
	})
	buffer := make([]byte, 32<<10)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			_ = server.Close()
			<-answered
			return
		}
		if bytes.HasSuffix(buffer[:n], commitQuery) {
			switch {
			case c.armed.CompareAndSwap(cutCommit, cutNothing):
				return
			case c.armed.CompareAndSwap(cutAnswer, cutNothing):
				muted.Store(true)
				_, _ = server.Write(buffer[:n])
				<-answered
				return
			}
		}
		if _, err := server.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// The connection breaks at COMMIT. Nobody can know whether it happened; who asks again with the same key has the effect once.
func TestACutCommitHasOneEffect(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cut      int32
		happened bool
	}{"before Postgres hears of it": {cutCommit, false}, "when the answer is on its way": {cutAnswer, true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			databaseURL, _ := pgtest.Schema(t)
			address, err := url.Parse(databaseURL)
			if err != nil {
				t.Fatal(err)
			}
			line := newCutter(t, address.Host)
			address.Host = line.listener.Addr().String()
			s, err := store.Open(t.Context(), store.Config{DatabaseURL: address.String(), MaxConnections: 4})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Close)
			if err := s.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			fleet := storetest.Fleet(t, s, "default")
			raise := func(ctx context.Context) (answer store.Answer, err error) {
				err = s.InTx(ctx, func(tx *store.Tx) error {
					_, err := tx.RaiseGeneration(ctx, fleet.ID)
					return err
				})
				return store.Answer{Body: []byte("raised")}, err
			}
			request := store.Request{Actor: "ada", Key: "k", Hash: []byte("raise")}
			line.armed.Store(c.cut)
			if _, _, err := s.Once(t.Context(), request, raise); !errors.Is(err, store.ErrUnavailable) {
				t.Fatalf("the cut commit: %v, want ErrUnavailable", err)
			}
			answer, replayed, err := s.Once(t.Context(), request, raise)
			if err != nil || string(answer.Body) != "raised" || replayed != c.happened {
				t.Errorf("again: %q, replayed %v, %v; want replayed %v", answer.Body, replayed, err, c.happened)
			}
			if generation := generationOf(t, s, fleet.ID); generation != 1 {
				t.Errorf("the generation was raised %d times", generation)
			}
		})
	}
}

func generationOf(t *testing.T, s *store.Store, fleetID int64) (generation int64) {
	t.Helper()
	err := s.View(t.Context(), func(tx *store.Tx) error {
		head, err := tx.Head(t.Context(), fleetID)
		generation = head.Generation
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return generation
}
