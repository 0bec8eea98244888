package upstream

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Protocol is what is spoken to a target.
type Protocol string

// The protocols. Automatic is HTTP/1.1 for http, and for https whatever the handshake agrees on.
const (
	Automatic Protocol = ""
	HTTP1     Protocol = "http1"
	HTTP2     Protocol = "h2"
	// HTTP2Cleartext is HTTP/2 with prior knowledge (RFC 9113, section 3.3), as gRPC servers often speak.
	HTTP2Cleartext Protocol = "h2c"
)

// Config shapes a service. Two of the same name share what is known of it, and of the targets that both have.
type Config struct {
	Name string
	// Targets are listed, or Discovery finds them.
	Targets   []TargetConfig
	Discovery DiscoveryConfig
	Protocol  Protocol
	// ConnectTimeout bounds opening a connection, TLS included. 0 means 2 s.
	ConnectTimeout time.Duration
	// MaxIdle is how many idle connections are kept to a target. 0 means 128.
	MaxIdle int
	// IdleTimeout is how long one is kept. 0 means a minute.
	IdleTimeout time.Duration
	// MaxOpen is how many connections to a target there may be in use, or of HTTP/2, whose connections carry many, how many streams.
	// 0 is no bound.
	MaxOpen int
	TLS     TLSConfig
	Retry   RetryConfig
	Health  HealthConfig
	Outlier OutlierConfig
	// SlowStart is how long a target that comes back takes to get its full share. 0 means no time.
	SlowStart time.Duration
	Balancing BalancingConfig
	Breaker   BreakerConfig
	// HedgeAfter is how long the first try may take before a second is made beside it. 0 makes none.
	HedgeAfter time.Duration
	// Concurrency bounds the exchanges that run at once by what it finds out.
	Concurrency ConcurrencyConfig
}

// TargetConfig is one destination.
type TargetConfig struct {
	// URL has a scheme (http or https), a host, maybe a port, and maybe a path that goes in front of the request's.
	URL string
	// Weight is the share of requests, relative to the others. 0 counts as 1.
	Weight uint32
	// Zone is where the target runs.
	Zone string
}

// TLSConfig shapes TLS to https targets.
type TLSConfig struct {
	// ServerName is sent and verified instead of the target's host.
	ServerName string
	// CA are the authorities to trust instead of the system's, in PEM.
	CA string
	// InsecureSkipVerify accepts any certificate.
	InsecureSkipVerify bool
}

// FieldError says which setting a service cannot be made of.
type FieldError struct {
	// Field is the name of the setting: "targets[1].url", "tls.ca_pem".
	Field string
	Err   error
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Err.Error() }

// Unwrap returns what is wrong with the setting.
func (e *FieldError) Unwrap() error { return e.Err }

const (
	defaultConnectTimeout = 2 * time.Second
	defaultMaxIdle        = 128
	defaultIdleTimeout    = time.Minute
)

func (c Config) withDefaults() Config {
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = defaultConnectTimeout
	}
	if c.MaxIdle == 0 {
		c.MaxIdle = defaultMaxIdle
	}
	if c.IdleTimeout == 0 {
		c.IdleTimeout = defaultIdleTimeout
	}
	c.Retry = c.Retry.withDefaults()
	c.Health = c.Health.withDefaults()
	c.Outlier = c.Outlier.withDefaults()
	c.Balancing = c.Balancing.withDefaults()
	c.Breaker = c.Breaker.withDefaults()
	return c
}

// identity is what the registry tells services apart by.
func (c Config) identity() [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(nil, "%#v", c))
}

// target is the key of one of the service's targets.
func (c *Config) target(at string) (targetKey, error) {
	u, err := url.Parse(at)
	switch {
	case err != nil:
		return targetKey{}, errors.New("is not a URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return targetKey{}, fmt.Errorf("has the scheme %q, not http or https", u.Scheme)
	case u.Hostname() == "":
		return targetKey{}, errors.New("has no host")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return targetKey{}, errors.New("has more than a scheme, a host and a path")
	}
	if err := c.Protocol.fits(u.Scheme); err != nil {
		return targetKey{}, err
	}
	key := targetKey{
		service: c.Name, scheme: u.Scheme, host: u.Host, prefix: strings.TrimSuffix(u.EscapedPath(), "/"),
		protocol: c.Protocol, maxIdle: c.MaxIdle, maxOpen: c.MaxOpen, idleTimeout: c.IdleTimeout,
	}
	if u.Scheme == "https" {
		key.tls = c.TLS
	}
	return key, nil
}

func (p Protocol) fits(scheme string) error {
	switch {
	case p == HTTP2 && scheme == "http":
		return errors.New("is http, but the protocol h2 needs https; in clear text it is h2c")
	case p == HTTP2Cleartext && scheme == "https":
		return errors.New("is https, but the protocol h2c is in clear text; over TLS it is h2")
	}
	return nil
}

func (c TLSConfig) build() (*tls.Config, error) {
	out := &tls.Config{
		MinVersion: tls.VersionTLS12,
		ServerName: c.ServerName,
		// Asked for by the operator, service by service; documented as for tests only.
		InsecureSkipVerify: c.InsecureSkipVerify, //nolint:gosec // see above
	}
	if c.CA != "" {
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM([]byte(c.CA)) {
			return nil, errors.New("holds no certificate in PEM")
		}
	}
	return out, nil
}
