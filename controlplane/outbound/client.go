// Package outbound asks servers that configuration names, and refuses addresses where none of them lies: who may write configuration
// must not read a machine's credentials by it.
package outbound

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"syscall"
	"time"
)

// refused are link-local addresses, among them the metadata services of most clouds, and the metadata services that lie elsewhere.
var refused = []netip.Prefix{
	netip.MustParsePrefix("169.254.0.0/16"),
	netip.MustParsePrefix("fe80::/10"),
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("::/128"),
	netip.MustParsePrefix("168.63.129.16/32"),
	netip.MustParsePrefix("100.100.100.200/32"),
	netip.MustParsePrefix("fd00:ec2::254/128"),
	netip.MustParsePrefix("fd00:c1::a9fe:a9fe/128"),
}

// ErrRefused says that an address is refused.
var ErrRefused = errors.New("this address is refused: link-local, unspecified, or a cloud's metadata service")

// idle bounds the connections that are kept.
const idle = 16

// Dialer checks the address that a name led to. timeout bounds a connection.
func Dialer(timeout time.Duration) *net.Dialer {
	return &net.Dialer{Timeout: timeout, Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("reading the address %q: %w", address, err)
		}
		ip := at.Addr().Unmap().WithZone("")
		if ip.IsMulticast() || slices.ContainsFunc(refused, func(p netip.Prefix) bool { return p.Contains(ip) }) {
			return fmt.Errorf("connecting to %s: %w", ip, ErrRefused)
		}
		return nil
	}}
}

// NewClient makes a client that follows no redirects and connects as [Dialer] does. timeout bounds a whole exchange.
func NewClient(timeout time.Duration) *http.Client {
	return &http.Client{
		Timeout:       timeout,
		Transport:     &http.Transport{DialContext: Dialer(timeout).DialContext, MaxIdleConns: idle, IdleConnTimeout: time.Minute},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
