package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"
)

// DialError says that no connection to a target could be opened, so that nothing of a request was sent.
type DialError struct {
	Address string
	Err     error
}

func (e *DialError) Error() string { return fmt.Sprintf("connecting to %s: %v", e.Address, e.Err) }

// Unwrap returns what went wrong.
func (e *DialError) Unwrap() error { return e.Err }

// Timeout tells whether it took too long.
func (e *DialError) Timeout() bool {
	var timeout interface{ Timeout() bool }
	return errors.Is(e.Err, context.DeadlineExceeded) || errors.As(e.Err, &timeout) && timeout.Timeout()
}

// ErrRefusedAddress says that an address may not be an upstream's.
var ErrRefusedAddress = errors.New("this address is refused: link-local, unspecified, or a cloud's metadata service")

// refusedRanges are where no upstream lies: link-local addresses, among them the metadata services of most clouds, and the
// metadata services that lie elsewhere (Azure's wire server, Alibaba's, Amazon's and Oracle's over IPv6).
var refusedRanges = []netip.Prefix{
	netip.MustParsePrefix("169.254.0.0/16"),
	netip.MustParsePrefix("fe80::/10"),
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("::/128"),
	netip.MustParsePrefix("168.63.129.16/32"),
	netip.MustParsePrefix("100.100.100.200/32"),
	netip.MustParsePrefix("fd00:ec2::254/128"),
	netip.MustParsePrefix("fd00:c1::a9fe:a9fe/128"),
}

// dialer opens connections, and refuses addresses where no upstream should be. The check is made on the address that was
// resolved, so no name leads around it.
type dialer struct {
	refused []netip.Prefix
	allowed []netip.Prefix
}

func (d *dialer) check(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("reading the address %q: %w", address, err)
	}
	inside := func(prefix netip.Prefix) bool { return prefix.Contains(at.Addr().Unmap().WithZone("")) }
	if slices.ContainsFunc(d.refused, inside) && !slices.ContainsFunc(d.allowed, inside) {
		return ErrRefusedAddress
	}
	return nil
}

type connectTimeoutKey struct{}

// WithConnectTimeout lets one request have another time to open a connection than its service's.
func WithConnectTimeout(ctx context.Context, timeout time.Duration) context.Context {
	return context.WithValue(ctx, connectTimeoutKey{}, timeout)
}

func connectContext(ctx context.Context, usual time.Duration) (context.Context, context.CancelFunc) {
	if timeout, ok := ctx.Value(connectTimeoutKey{}).(time.Duration); ok {
		usual = timeout
	}
	return context.WithTimeout(ctx, usual)
}

func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	netDialer := &net.Dialer{Control: d.check, KeepAlive: 30 * time.Second}
	conn, err := netDialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, &DialError{address, err}
	}
	return conn, nil
}

func (d *dialer) dialTLS(ctx context.Context, network, address string, config *tls.Config) (net.Conn, error) {
	plain, err := d.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if config.ServerName == "" {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			host = address
		}
		config = config.Clone()
		config.ServerName = host
	}
	conn := tls.Client(plain, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		// The handshake's error says more than that of closing.
		_ = plain.Close()
		return nil, &DialError{address, fmt.Errorf("TLS handshake: %w", err)}
	}
	return conn, nil
}
