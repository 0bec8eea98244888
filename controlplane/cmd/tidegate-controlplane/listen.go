package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
)

// listeners are the three addresses of a control plane.
type listeners struct {
	admin, agent, ops net.Listener
}

// listen opens all three or none. A port that is taken is named with the flag that moves it.
func listen(ctx context.Context, f *flags) (*listeners, error) {
	opened := new(listeners)
	for _, one := range []struct {
		flag, address string
		into          *net.Listener
	}{
		{"--admin-address", f.AdminAddress, &opened.admin},
		{"--agent-address", f.AgentAddress, &opened.agent},
		{"--ops-address", f.OpsAddress, &opened.ops},
	} {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", one.address)
		if err != nil {
			opened.close()
			if errors.Is(err, syscall.EADDRINUSE) {
				return nil, fmt.Errorf("%s is taken; choose another address with %s", one.address, one.flag)
			}
			return nil, fmt.Errorf("listening on %s (%s): %w", one.address, one.flag, err)
		}
		*one.into = listener
	}
	return opened, nil
}

// close closes what is open. Closing twice does nothing.
func (l *listeners) close() {
	for _, listener := range []net.Listener{l.admin, l.agent, l.ops} {
		if listener != nil {
			_ = listener.Close() // closed already, by the server that had it
		}
	}
}
