package proxy

import (
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"tidegate.dev/dataplane/lane"
	"tidegate.dev/dataplane/listener"
	"tidegate.dev/dataplane/overload"
	"tidegate.dev/dataplane/plugin"
	"tidegate.dev/dataplane/telemetry"
	"tidegate.dev/dataplane/upstream"
)

// Config is what a proxy needs.
type Config struct {
	// Address is where HTTP/1.1 and h2c are served, TLSAddress where HTTP/1.1 and h2 over TLS. Empty: not at all. Port 0 takes
	// any free port.
	Address    string
	TLSAddress string
	// Sockets are ports that are open already; nil: none is.
	Sockets *listener.Sockets
	// ProxyProtocol and TLSProxyProtocol say of either whether its connections begin with a header of the PROXY protocol.
	ProxyProtocol, TLSProxyProtocol listener.ProxyProtocol
	// TrustedProxies are the peers whose forwarding headers are believed, and whose headers of the PROXY protocol are.
	TrustedProxies []netip.Prefix
	// Connections bounds connections and handshakes.
	Connections listener.Limits
	// DrainTimeout is how long exchanges may take to end after Run's context is done. Default 30 s.
	DrainTimeout time.Duration

	Lane     *lane.Table
	State    *plugin.State
	Counters *telemetry.Counters
	// Upstreams is the registry that snapshots are compiled with. Nil lets stable and candidate each find out for themselves.
	Upstreams *upstream.Registry
	// KeyUses and AccessLog may be nil.
	KeyUses *telemetry.KeyUses
	// Shadows counts what candidates decide beside live requests; nil: they are not asked.
	Shadows   *telemetry.Shadows
	AccessLog *telemetry.AccessLog
	// AccessLogSample is the share of the exchanges that went well that are written to the access log, between 0 and 1. All
	// others always are. Default 1; less than 0 writes none.
	AccessLogSample float64
	Log             *slog.Logger

	Limits Limits
	// Monitor tells when the process has too much to do; nil for never. Whoever makes it runs it.
	Monitor *overload.Monitor
	// MaxExchanges is how many requests are served at once at most, until their responses stream, whatever they wait for; 0: any
	// number.
	MaxExchanges int
}

// Limits bound what clients may send. Zero fields take the defaults.
type Limits struct {
	// HeaderBytes is the size of a request's header. Default 64 KiB.
	HeaderBytes int
	// HeaderCount is the number of its fields. Default 256.
	HeaderCount int
	// TargetBytes is the length of the request target. Default 16 KiB.
	TargetBytes int
	// HeaderTimeout is how long a request's header may take. Default 10 s.
	HeaderTimeout time.Duration
	// IdleTimeout is how long a connection may wait for its next request. Default 75 s.
	IdleTimeout time.Duration
	// BodyRate is the least rate of a request's body in bytes a second, and BodyGrace the time that it may take on top.
	// Default 240 and 5 s.
	BodyRate  int
	BodyGrace time.Duration
	// Streams is the number of concurrent exchanges of an HTTP/2 connection. Default 100.
	Streams int
}

func (l Limits) withDefaults() Limits {
	setDefault(&l.HeaderBytes, 64<<10)
	setDefault(&l.HeaderCount, 256)
	setDefault(&l.TargetBytes, 16<<10)
	setDefault(&l.HeaderTimeout, 10*time.Second)
	setDefault(&l.IdleTimeout, 75*time.Second)
	setDefault(&l.BodyRate, 240)
	setDefault(&l.BodyGrace, 5*time.Second)
	setDefault(&l.Streams, 100)
	return l
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (c *Config) validate() error {
	switch {
	case c.Address == "" && c.TLSAddress == "":
		return errors.New("the proxy has no address to listen on")
	case c.Lane == nil || c.State == nil || c.Counters == nil || c.Log == nil:
		return errors.New("the proxy lacks its lane, state, counters or log")
	case c.AccessLogSample > 1:
		return errors.New("the share of exchanges in the access log is above 1")
	}
	return nil
}
