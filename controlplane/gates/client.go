package gates

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

// refused are where no gate lies: link-local addresses, among them the metadata services of most clouds, and the metadata services
// that lie elsewhere. Who may publish a strategy must not read a machine's credentials by it.
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

var errRefused = errors.New("this address is refused: link-local, unspecified, or a cloud's metadata service")

// newClient makes a client that follows no redirects and checks the address that a name led to.
func newClient() *http.Client {
	dialer := &net.Dialer{Timeout: 5 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("reading the address %q: %w", address, err)
		}
		if slices.ContainsFunc(refused, func(p netip.Prefix) bool { return p.Contains(at.Addr().Unmap().WithZone("")) }) {
			return errRefused
		}
		return nil
	}}
	return &http.Client{
		Timeout:       askTimeout,
		Transport:     &http.Transport{DialContext: dialer.DialContext, MaxIdleConns: atOnce, IdleConnTimeout: time.Minute},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
