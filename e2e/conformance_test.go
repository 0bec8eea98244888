package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/summerwind/h2spec/config"
	"github.com/summerwind/h2spec/generic"
	"github.com/summerwind/h2spec/hpack"
	h2specification "github.com/summerwind/h2spec/http2"
	"github.com/summerwind/h2spec/spec"

	"tidegate.dev/e2e/harness"
)

// conformanceCases is how many cases h2spec has for a server.
const conformanceCases = 145

// invalidPreface is the one case that does not hold in clear text: a port that speaks HTTP/1.1 too answers what is neither with 400
// (RFC 9112, section 3), and then closes the connection; h2spec wants it closed without a word.
const invalidPreface = "3.5. HTTP/2 Connection Preface, Sends invalid connection preface"

// TestHTTP2IsSpokenToTheLetter runs h2spec against an agent: every case of RFC 9113 (in the words of RFC 7540) and RFC 7541, in clear
// text and over TLS.
func TestHTTP2IsSpokenToTheLetter(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Agents: 1})
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "hello from the upstream")
	}))
	t.Cleanup(up.Close)
	s.Apply(fmt.Sprintf(`
fleet: default
services:
  - {name: hello, url: %q}
routes:
  - {name: hello, service: hello, match: {paths: ["/**"]}}
`, up.URL))
	agent := s.Ready.Agents[0]
	for _, c := range []struct{ name, address, except string }{{"clear text", agent.Proxy, invalidPreface}, {"TLS", agent.TLS, ""}} {
		t.Run(c.name, func(t *testing.T) {
			passed, failed := conformance(t, c.address)
			for _, what := range failed {
				if c.except == "" || !strings.HasPrefix(what, c.except) {
					t.Error(what)
				}
			}
			if passed+len(failed) != conformanceCases {
				t.Errorf("%d cases passed and %d failed, of %d", passed, len(failed), conformanceCases)
			}
		})
	}
}

// conformance runs all cases against an address.
func conformance(t *testing.T, address string) (passed int, failed []string) {
	t.Helper()
	at, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(at.Port())
	if err != nil {
		t.Fatal(err)
	}
	settings := &config.Config{
		Host: at.Hostname(), Port: port, Path: "/", Timeout: 5 * time.Second, MaxHeaderLen: 4000, TLS: at.Scheme == "https", Insecure: true,
	}
	for _, group := range []*spec.TestGroup{generic.Spec(), h2specification.Spec(), hpack.Spec()} {
		group.Test(settings)
		passed += group.PassedCount
		failed = append(failed, failuresOf(group)...)
	}
	return passed, failed
}

func failuresOf(group *spec.TestGroup) (failed []string) {
	for _, test := range group.Tests {
		if test.Result != nil && (test.Result.Failed || test.Result.Skipped) {
			failed = append(failed, fmt.Sprintf("%s, %s: %v", group.Title(), test.Desc, test.Result.Error))
		}
	}
	for _, inner := range group.Groups {
		failed = append(failed, failuresOf(inner)...)
	}
	return failed
}
