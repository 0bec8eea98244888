package acme

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"tidegate.dev/controlplane/outbound"
)

const (
	// requestTimeout bounds one request to an authority.
	requestTimeout = 30 * time.Second
	// answerLimit bounds what is read of an answer, in bytes. A chain has less than 20 KiB.
	answerLimit = 1 << 20
	// longestRetryAfter bounds how long an authority can put an attempt off.
	longestRetryAfter = 7 * 24 * time.Hour
)

// client returns a client of the authority that the certificate names, and what ends it.
func (a *attempt) client() (client *acme.Client, done func(), err error) {
	settings := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca := a.spec.GetAcme().GetCaPem(); ca != "" {
		settings.RootCAs = x509.NewCertPool()
		if !settings.RootCAs.AppendCertsFromPEM([]byte(ca)) {
			return nil, nil, errors.New("acme.ca_pem holds no certificate")
		}
	}
	dialer := outbound.Dialer(requestTimeout)
	base := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, TLSClientConfig: settings, ForceAttemptHTTP2: true,
		TLSHandshakeTimeout: requestTimeout, ResponseHeaderTimeout: requestTimeout, MaxIdleConnsPerHost: 1,
	}
	return &acme.Client{
		Directory: a.spec.GetAcme().DirectoryURL(),
		UserAgent: a.config.UserAgent,
		HTTPClient: &http.Client{
			Transport: &transport{base: base, attempt: a},
			Timeout:   requestTimeout,
			CheckRedirect: func(request *http.Request, via []*http.Request) error {
				if request.URL.Scheme != "https" || len(via) > 3 {
					return fmt.Errorf("the authority redirects to %s", request.URL)
				}
				return nil
			},
		},
	}, base.CloseIdleConnections, nil
}

// transport bounds answers, and notes how long the authority asks to wait.
type transport struct {
	base    *http.Transport
	attempt *attempt
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := t.base.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode == http.StatusTooManyRequests || response.StatusCode == http.StatusServiceUnavailable {
		t.attempt.retryAfter = retryAfter(response.Header.Get("Retry-After"), time.Now())
	}
	if kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type")); response.StatusCode >= http.StatusBadRequest && kind != "application/problem+json" {
		// That is no authority's answer. What it says goes nowhere, for the address may have been chosen to find out.
		_ = response.Body.Close()
		response.Body, response.ContentLength = http.NoBody, 0
		return response, nil
	}
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(response.Body, answerLimit), response.Body}
	return response, nil
}

// retryAfter reads the field of RFC 9110, section 10.2.3.
func retryAfter(value string, now time.Time) time.Duration {
	var wait time.Duration
	if seconds, err := strconv.ParseInt(value, 10, 32); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), longestRetryAfter)
}
