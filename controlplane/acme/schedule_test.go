package acme

import (
	"crypto/x509"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mholt/acmez/v3/acme"

	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func TestPausesGrowAndStayWithinBounds(t *testing.T) {
	t.Parallel()
	for failures, want := range map[int]time.Duration{
		0: time.Minute, 1: time.Minute, 2: 5 * time.Minute, 5: time.Hour, 8: 6 * time.Hour, 1000: 6 * time.Hour,
	} {
		for range 100 {
			if got := pause(time.Minute, failures); (got - want).Abs() > want/10+1 {
				t.Fatalf("after %d failures: %v, want about %v", failures, got, want)
			}
		}
	}
	// As many attempts in the first hour as Let's Encrypt takes failed validations.
	attempts, spent := 1, time.Duration(0)
	for spent < time.Hour {
		spent += time.Minute * time.Duration(pauses[attempts-1])
		attempts++
	}
	if attempts-1 > 5 {
		t.Errorf("%d attempts in the first hour", attempts-1)
	}
}

func TestWhenACertificateIsRenewed(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	begin := time.Now().Truncate(time.Second)
	window := func(from, to time.Duration) *acme.RenewalInfo {
		info := &acme.RenewalInfo{SelectedTime: begin.Add((from + to) / 2)}
		info.SuggestedWindow.Start, info.SuggestedWindow.End = begin.Add(from), begin.Add(to)
		return info
	}
	cases := []struct {
		name      string
		life      time.Duration
		suggested *acme.RenewalInfo
		from, to  time.Duration
	}{
		{"two thirds of its life, or a little less", 90 * day, nil, 58 * day, 60 * day},
		{"as the authority suggests", 90 * day, window(50*day, 52*day), 51 * day, 51 * day},
		{"no suggestion in the answer", 90 * day, &acme.RenewalInfo{}, 58 * day, 60 * day},
		{"at once is too early: it would order without end", 90 * day, window(-2*time.Hour, -time.Hour), time.Hour, time.Hour},
		{"at its end is too late", 90 * day, window(90*day, 100*day), 81 * day, 81 * day},
		{"a life of minutes", 6 * time.Minute, window(-time.Hour, time.Minute), 2 * time.Minute, 2 * time.Minute},
	}
	for _, c := range cases {
		leaf := &x509.Certificate{NotBefore: begin, NotAfter: begin.Add(c.life)}
		got := renewal(leaf, c.suggested, begin)
		if got.Before(begin.Add(c.from)) || got.After(begin.Add(c.to)) {
			t.Errorf("%s: after %v", c.name, got.Sub(begin))
		}
	}
}

func TestWhenTheAuthorityIsAskedAgain(t *testing.T) {
	t.Parallel()
	now := time.Now()
	after := func(wait time.Duration) *acme.RenewalInfo {
		at := now.Add(wait)
		return &acme.RenewalInfo{RetryAfter: &at}
	}
	for _, c := range []struct {
		name      string
		renewIn   time.Duration
		suggested *acme.RenewalInfo
		want      time.Duration
	}{
		{"it does not say", 1000 * time.Hour, nil, 6 * time.Hour},
		{"it says", 1000 * time.Hour, after(2 * time.Hour), 2 * time.Hour},
		{"too often", 1000 * time.Hour, after(time.Second), time.Minute},
		{"too seldom", 1000 * time.Hour, after(1000 * time.Hour), 24 * time.Hour},
		{"it is renewed before", time.Hour, after(2 * time.Hour), time.Hour},
	} {
		if got := nextLook(now.Add(c.renewIn), c.suggested, now).Sub(now); got != c.want {
			t.Errorf("%s: in %v, want %v", c.name, got, c.want)
		}
	}
}

func TestRetryAfterIsReadInBothForms(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "120": 2 * time.Minute, "-5": 0, "soon": 0, "99999999999999": 0, "2000000000": longestRetryAfter,
		now.Add(time.Hour).Format(http.TimeFormat): time.Hour, now.Add(-time.Hour).Format(http.TimeFormat): 0,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}

func TestEveryKindOfFailureComesWithAdvice(t *testing.T) {
	t.Parallel()
	spec := &configv1.Certificate{ServerNames: []string{"a.example", "b.example"}, Acme: &configv1.Acme{}}
	problem := func(kind string) error { return acme.Problem{Type: acme.ProblemTypeNamespace + kind, Detail: "no"} }
	for _, c := range []struct {
		err  error
		want string
	}{
		{&proofError{"b.example", problem("dns")}, "Make b.example resolve"},
		{&proofError{"b.example", problem("connection")}, "Make port 80 of b.example lead"},
		{&proofError{"b.example", problem("unauthorized")}, "Port 80 of b.example seems to lead elsewhere"},
		{&proofError{"b.example", problem("caa")}, "CAA records of b.example"},
		{problem("rateLimited"), "wait"},
		{problem("rejectedIdentifier"), "no certificates for a.example, b.example"},
		{problem("invalidContact"), "Change acme.email"},
		{problem("externalAccountRequired"), "made beforehand"},
		{errNoAgents, "tidegate get agents"},
		{&agentsError{3, []string{"x"}}, "1 of 3"},
		{errNotOffered, "acme.challenge"},
		{errSlow, "https://acme-v02.api.letsencrypt.org/directory"},
	} {
		if got := explain(c.err, spec); !strings.Contains(got, c.want) {
			t.Errorf("%v: %q lacks %q", c.err, got, c.want)
		}
	}
	if got := explain(errors.New("a\x00b\nc\xff"+strings.Repeat("é", 4000)), spec); len(got) > explanationLimit || strings.ContainsAny(got, "\x00\n") {
		t.Errorf("%d bytes: %q", len(got), got[:20])
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, seed := range []string{"120", "-1", "Mon, 23 Nov 2026 12:00:00 GMT", "99999999999999999999", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if wait := retryAfter(value, time.Now()); wait < 0 || wait > longestRetryAfter {
			t.Errorf("%q: %v", value, wait)
		}
	})
}
