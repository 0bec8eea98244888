package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"
)

// Sizes of the upstream's answers, in bytes.
const (
	smallBody = 1 << 10
	largeBody = 1 << 20
)

// ask sends one GET, with a key unless that is empty, and returns the status and how long the body was.
func ask(ctx context.Context, client *http.Client, url, key string) (status int, length int64, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, 0, fmt.Errorf("making a request: %w", err)
	}
	if key != "" {
		request.Header.Set("x-api-key", key)
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, 0, fmt.Errorf("asking: %w", err)
	}
	length, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, length, errors.Join(err, response.Body.Close())
}

// verify checks that a subject does what is measured before it is measured: the right answer with the key, a refusal without
// it and with a wrong one, the whole body, and the same over TLS and HTTP/2 with the suite that all have.
func verify(ctx context.Context, x subject, i *instance, key string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	var errs []error
	for _, p := range []protocol{http1, https1, https2} {
		if p != http1 && i.tls == 0 {
			continue
		}
		if err := verifyOver(ctx, x, i, key, p); err != nil {
			errs = append(errs, fmt.Errorf("%s over %s: %w", x.Name, p, err))
		}
	}
	return errors.Join(errs...)
}

func verifyOver(ctx context.Context, x subject, i *instance, key string, p protocol) error {
	transport := &http.Transport{DisableCompression: true, ForceAttemptHTTP2: p == https2}
	defer transport.CloseIdleConnections()
	base := fmt.Sprintf("http://localhost:%d", i.http)
	if p != http1 {
		base = fmt.Sprintf("https://localhost:%d", i.tls)
		next := []string{"http/1.1"}
		if p == https2 {
			next = []string{"h2"}
		}
		transport.TLSClientConfig = &tls.Config{
			InsecureSkipVerify: true, ServerName: "localhost", NextProtos: next, //nolint:gosec // it is ours, self-signed
			CurvePreferences: []tls.CurveID{tls.X25519}, MinVersion: tls.VersionTLS13, VerifyConnection: agreedOn(next[0]),
		}
	}
	client := &http.Client{Transport: transport}
	type expectation struct {
		path, key string
		length    int64
		statuses  []int
	}
	refused := []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound}
	all := []expectation{
		{smallPath(false), "", smallBody, []int{http.StatusOK}},
		{largePath(false), "", largeBody, []int{http.StatusOK}},
	}
	if x.Name != direct {
		wrong := "tg_" + key[4:] + "x"
		all = append(all, expectation{smallPath(true), key, smallBody, []int{http.StatusOK}},
			expectation{smallPath(true), "", -1, refused}, expectation{smallPath(true), wrong, -1, refused})
	}
	for _, e := range all {
		status, length, err := ask(ctx, client, base+e.path, e.key)
		switch {
		case err != nil:
			return err
		case !slices.Contains(e.statuses, status):
			return fmt.Errorf("%s is answered %d, not %v", e.path, status, e.statuses)
		case e.length >= 0 && length != e.length:
			return fmt.Errorf("the answer to %s has %d bytes, not %d", e.path, length, e.length)
		}
	}
	if err := verifyUpload(ctx, client, base); err != nil || x.Name == direct || x.Bare {
		return err
	}
	return verifyHeaders(ctx, x, client, base, key)
}

// verifyUpload checks that a large body goes through: the upstream answers when it has it all.
func verifyUpload(ctx context.Context, client *http.Client, base string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, base+smallPath(false), bytes.NewReader(make([]byte, largeBody)))
	if err != nil {
		return fmt.Errorf("making a request: %w", err)
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("sending 1 MiB: %w", err)
	}
	length, err := io.Copy(io.Discard, response.Body)
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return fmt.Errorf("reading the answer to 1 MiB: %w", err)
	}
	if response.StatusCode != http.StatusOK || length != smallBody {
		return fmt.Errorf("1 MiB is answered %d with %d bytes", response.StatusCode, length)
	}
	return nil
}

// verifyHeaders checks that policies do to headers what they should: the upstream gets what they set and no key, the client gets
// what they set.
func verifyHeaders(ctx context.Context, x subject, client *http.Client, base, key string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+echoPath, http.NoBody)
	if err != nil {
		return fmt.Errorf("making a request: %w", err)
	}
	request.Header.Set("x-api-key", key)
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("asking for an echo: %w", err)
	}
	defer func() { _ = response.Body.Close() }() // only read from
	echo, err := http.ReadRequest(bufio.NewReader(response.Body))
	if err != nil {
		return fmt.Errorf("reading the echo of a request: %w", err)
	}
	wanted := []string{"X-Bench", "X-Forwarded-For"}
	if !x.NoRequestID {
		wanted = append(wanted, "X-Request-Id")
	}
	for _, name := range wanted {
		if echo.Header.Get(name) == "" {
			return fmt.Errorf("the upstream gets no %s: %v", name, echo.Header)
		}
	}
	if echo.Header.Get("X-Consumer") == "" && echo.Header.Get("X-Tidegate-Consumer") == "" {
		return fmt.Errorf("the upstream is not told the consumer: %v", echo.Header)
	}
	if echo.Header.Get("X-Api-Key") != "" {
		return errors.New("the upstream gets the key")
	}
	if response.Header.Get("X-Served-Through") == "" {
		return fmt.Errorf("the client gets no X-Served-Through: %v", response.Header)
	}
	return nil
}

// agreedOn checks a handshake: everybody must pay for the same.
func agreedOn(next string) func(tls.ConnectionState) error {
	return func(s tls.ConnectionState) error {
		if s.NegotiatedProtocol != next && (next != "http/1.1" || s.NegotiatedProtocol != "") {
			return fmt.Errorf("the handshake agreed on %q, not %s", s.NegotiatedProtocol, next)
		}
		if s.CipherSuite != tls.TLS_AES_128_GCM_SHA256 {
			return fmt.Errorf("the handshake agreed on %s", tls.CipherSuiteName(s.CipherSuite))
		}
		return nil
	}
}
