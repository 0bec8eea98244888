package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"

	"tidegate.dev/dataplane/listener"
)

// Names of the ports, by which a successor and the service manager know them.
const (
	plainName  = "http"
	secureName = "https"
)

// listen opens the ports.
func (p *Proxy) listen(ctx context.Context) (all []*listener.Listener, err error) {
	for _, port := range []struct {
		name, address, flag string
		protocol            listener.ProxyProtocol
		tls                 *listener.TLS
		bound               *net.Addr
	}{
		{plainName, p.config.Address, "--proxy-address", p.config.ProxyProtocol, nil, &p.plain},
		{secureName, p.config.TLSAddress, "--tls-address", p.config.TLSProxyProtocol, p.tls, &p.secure},
	} {
		if port.address == "" {
			continue
		}
		socket, err := p.config.Sockets.Listen(ctx, port.name, "tcp", port.address)
		if err != nil {
			for _, l := range all {
				l.Close()
			}
			return nil, fmt.Errorf("listening on %s (move it with %s): %w", port.address, port.flag, err)
		}
		*port.bound = socket.Addr()
		p.names, p.sockets = append(p.names, port.name), append(p.sockets, socket)
		all = append(all, listener.New(listener.Config{
			Name: port.name, Socket: socket, Gate: p.gate, TLS: port.tls, ProxyProtocol: port.protocol,
			TrustedProxies: listener.Prefixes(p.trusted), HTTP1: p.http1.Serve, HTTP2: p.http2.serve,
		}))
	}
	return all, nil
}

// accept accepts until the listener is closed, and returns when the engines have every connection.
func accept(lifetime context.Context, l *listener.Listener) error {
	err := l.Run(lifetime)
	if err != nil {
		err = fmt.Errorf("serving on %s: %w", l.Addr(), err)
	}
	return errors.Join(err, l.Wait(context.WithoutCancel(lifetime)))
}

// Ports are the ports that clients reach, with their names, for a successor. It may be called when Listening is closed.
func (p *Proxy) Ports() (names []string, sockets []*net.TCPListener) { return p.names, p.sockets }
