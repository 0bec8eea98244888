package discovery

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"time"
)

// Source finds targets.
type Source interface {
	// Run looks for targets until ctx ends, and then returns nil. It calls update, never twice at once, with what it found
	// first, and then whenever that changed: sorted by address, each address once, at most [MaxTargets]. What it passes is
	// update's to keep. A failure is no change: update is called with no targets only when the directory says, beyond doubt,
	// that there are none, which Kubernetes and a file can. Run is called once.
	Run(ctx context.Context, update func([]Target)) error
}

// DialFunc opens a connection, as [net.Dialer.DialContext] does.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// Environment is what a source finds where it runs. All of it may be used by several goroutines.
type Environment struct {
	// Dial opens connections to what configuration names, which may be refused: whoever writes configuration must not reach
	// by it what no upstream may be. Required.
	Dial DialFunc
	// Secret gives the value of a secret. Nil means that there are none.
	Secret func(name string) (string, bool)
	// ResolvConf is the file that names the machine's name servers. Empty means /etc/resolv.conf.
	ResolvConf string
	// FilesDir is the folder below which files are read. Empty means that none is.
	FilesDir string
	// Kubeconfig says where the API server of Kubernetes is. Empty means: as pods find it.
	Kubeconfig string
	// ConsulAddress is the URL of the Consul agent for those who name none. Empty means http://127.0.0.1:8500.
	ConsulAddress string
	// Memory keeps what was found. Nil means that nothing is kept.
	Memory *Memory
	// Board is told how the sources fare. Nil means that nobody is.
	Board *Board
	// Log is told when a source begins to fail, and when it ends to. Nil means that nobody is.
	Log *slog.Logger
}

// follower follows one directory. It returns an error when something failed, and is called again; what it must remember, it
// remembers. Only when ctx ended it may return nil.
type follower interface {
	follow(ctx context.Context, found *report) error
}

// New makes the source of a configuration. It does no I/O. An error is a *[FieldError].
func New(c Config, e Environment) (Source, error) {
	if e.Dial == nil {
		return nil, &FieldError{"", errors.New("there is nothing to open connections with")}
	}
	if err := c.validate(&e); err != nil {
		return nil, err
	}
	if e.Log == nil {
		e.Log = slog.New(slog.DiscardHandler)
	}
	s := &source{config: c, environment: e, pause: backoff{shortest: firstPause, longest: longestPause}}
	switch c.Kind {
	case KindDNS:
		s.follower = newDNSFollower(c.DNS, &e)
		s.pause = c.DNS.backoff()
	case KindDNSSRV:
		s.follower = newSRVFollower(c.DNS, &e)
		s.pause = c.DNS.backoff()
	case KindConsul:
		s.follower = newConsulFollower(c.Consul, &e)
	case KindKubernetes:
		s.follower = newKubernetesFollower(c.Kubernetes, &e)
	case KindFile:
		s.follower = newFileFollower(c.File, &e)
	}
	return s, nil
}

type source struct {
	config      Config
	environment Environment
	follower    follower
	pause       backoff
}

// Run is [Source]'s.
func (s *source) Run(ctx context.Context, update func([]Target)) error {
	name := s.config.String()
	r := &report{
		source: name, update: update, state: s.environment.Board.enter(s.config), memory: s.environment.Memory,
		log: s.environment.Log.With("source", name),
	}
	defer s.environment.Board.leave(r.state)
	defer time.AfterFunc(recallPause, r.recall).Stop()
	defer r.end()
	for {
		err := s.follower.follow(ctx, r)
		if ctx.Err() != nil {
			return nil
		}
		if r.takeSuccess() {
			s.pause.reset()
		}
		r.failed(err)
		if !sleep(ctx, s.pause.next()) {
			return nil
		}
	}
}

const (
	firstPause   = 250 * time.Millisecond
	longestPause = 30 * time.Second
)

// backoff is the pause before something is tried again: twice as long each time, half of it by chance, so that many that
// failed together do not come back together.
type backoff struct {
	shortest, longest time.Duration
	failures          int
}

func (b *backoff) reset() { b.failures = 0 }

func (b *backoff) next() time.Duration {
	pause := b.shortest << min(b.failures, 16)
	if pause <= 0 || pause > b.longest {
		pause = b.longest
	}
	b.failures++
	return max(b.shortest, pause/2+rand.N(pause/2+1))
}

// sleep waits, and is false if ctx ended.
func sleep(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
