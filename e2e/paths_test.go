package e2e_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"tidegate.dev/e2e/harness"
)

// Whatever way a client spells a path, the route that is chosen and the path that the upstream gets are those of one and the
// same form, over HTTP/1.1 and over HTTP/2.
func TestPathsAreReadOnce(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{})
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.RequestURI)
	}))
	t.Cleanup(upstream.Close)
	s.Apply(fmt.Sprintf(`
fleet: default
services: [{name: echo, url: %q}]
routes:
  - {name: open, service: echo, match: {paths: ["/**"]}}
  - {name: closed, match: {paths: ["/admin/**"]}, direct_response: {status: 403}}
`, upstream.URL))
	proxy := s.Proxies("")[0]
	const closed, refused = "403", "400"
	for target, want := range map[string]string{
		"/a%2fb?x=%2f/..":       "/a%2Fb?x=%2f/..",
		"/caf%c3%a9/%7Ex":       "/caf%C3%A9/~x",
		"/a//b/./c/":            "/a/b/c/",
		"/%2561dmin":            "/%2561dmin",
		"/%2Fadmin":             "/%2Fadmin",
		"/admin;x/y":            "/admin;x/y",
		"/admin":                closed,
		"/%61dmin/x":            closed,
		"/open/../admin/x":      closed,
		"/open/%2E%2e/admin/":   closed,
		"/.//admin":             closed,
		"/admin/../open":        "/open",
		"/open/..%2Fadmin":      refused,
		"/open/..;/admin":       refused,
		"/open/..%5cadmin":      refused,
		"/open/..%20/admin":     refused,
		"/open/%c0%ae./admin":   refused,
		"/open%00/admin":        refused,
		"/../admin":             refused,
		"/open/../../etc/admin": refused,
		"/open%zz":              refused, // over HTTP/2 this is no :path, and its stream is reset
	} {
		for version, send := range map[string]func(context.Context, string, string) (int, string, error){"1.1": rawGet, "2": getOverH2} {
			if version == "2" && strings.Contains(target, "%zz") {
				continue
			}
			status, body, err := send(t.Context(), proxy, target)
			if err != nil {
				t.Errorf("%q over HTTP/%s: %v", target, version, err)
				continue
			}
			got := fmt.Sprint(status)
			if status == http.StatusOK {
				got = body
			}
			if got != want {
				t.Errorf("%q over HTTP/%s: %s, want %s", target, version, got, want)
			}
		}
	}
}

// rawGet writes the target as it is.
func rawGet(ctx context.Context, proxy, target string) (status int, body string, err error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", strings.TrimPrefix(proxy, "http://"))
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = conn.Close() }()
	err = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, failed := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n", target)
	if err = errors.Join(err, failed); err != nil {
		return 0, "", err
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil) //nolint:bodyclose // read closes it
	return read(response, err)
}

// getOverH2 sends the target as :path, as it is.
func getOverH2(ctx context.Context, proxy, target string) (status int, body string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, proxy, http.NoBody)
	if err != nil {
		return 0, "", err
	}
	path, query, _ := strings.Cut(target, "?")
	request.URL = &url.URL{Scheme: "http", Host: request.URL.Host, Opaque: path, RawQuery: query}
	response, err := transport.RoundTrip(request) //nolint:bodyclose // read closes it
	return read(response, err)
}

func read(response *http.Response, err error) (status int, body string, _ error) {
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), err
}
