package local

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
)

// Probe says whether a process serves: nil when it does, else why not. It is asked again and again.
type Probe func(ctx context.Context) error

// HTTPProbe is ready when a GET of the URL is answered with 200.
func HTTPProbe(url string) Probe {
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return fmt.Errorf("probing: %w", err)
		}
		request.Close = true // A kept connection would be the process's to close.
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return fmt.Errorf("probing: %w", err)
		}
		defer response.Body.Close() //nolint:errcheck // only read from
		if response.StatusCode == http.StatusOK {
			return nil
		}
		reason, err := io.ReadAll(io.LimitReader(response.Body, 512))
		if err != nil {
			return fmt.Errorf("probing: %w", err)
		}
		return fmt.Errorf("%s answers %s: %s", url, response.Status, reason)
	}
}

// TCPProbe is ready when something listens at the address (host:port).
func TCPProbe(address string) Probe {
	return func(ctx context.Context) error {
		connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err != nil {
			return fmt.Errorf("probing: %w", err)
		}
		return connection.Close()
	}
}
