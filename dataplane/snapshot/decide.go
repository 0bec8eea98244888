package snapshot

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"tidegate.dev/dataplane/plugin"
	"tidegate.dev/proto/pattern"
)

// Question is a request to decide about, as a client would send it.
type Question struct {
	Method string
	// Host is as in the Host field. RawPath and RawQuery are as in the request target.
	Host, RawPath, RawQuery string
	Header                  http.Header
	Client                  netip.Addr
	// Caller is taken for who calls, if it names a consumer; else authentication decides.
	Caller plugin.Caller
	At     time.Time
}

// Decision is what a snapshot would do with a request.
type Decision struct {
	// Route is empty if none matches.
	Route string
	// Services are those of which one would answer; none if the gateway does by itself.
	Services []string
	// Reason is why the gateway refuses; ReasonNone if it does not.
	Reason plugin.Reason
	// Status is what the gateway answers by itself; 0 if a service does.
	Status int
}

// Decide says what would become of a request, from matching to limits. It sends nothing, counts nothing, and leaves the question
// as it is. It costs allocations: it is for tests and shadows, not for the request path.
func (s *Snapshot) Decide(q Question) Decision {
	path, err := pattern.NormalizePath(q.RawPath)
	if err != nil {
		return refusal("", plugin.ReasonBadRequest)
	}
	asked := &questionFields{header: q.Header, query: q.RawQuery}
	route, ok := s.Match(q.Host, q.Method, path, asked, nil)
	if !ok {
		if len(s.Allowed(q.Host, path, asked)) > 0 {
			return refusal("", plugin.ReasonMethodNotAllowed)
		}
		return refusal("", plugin.ReasonNoRoute)
	}
	x := &plugin.Exchange{
		Method: q.Method, Host: q.Host, Path: path, Client: q.Client, Request: q.Header.Clone(), Started: q.At,
		Route: route.Name, Service: route.Service, Caller: q.Caller,
	}
	if v := route.Chain.Decide(x, s); v.Refused() {
		return refusal(route.Name, v.Reason)
	}
	return route.Decision()
}

// Decision is what becomes of a request that the route's policies let pass.
func (r *Route) Decision() Decision {
	decision := Decision{Route: r.Name, Services: r.services()}
	switch {
	case r.Redirect != nil:
		decision.Status = r.Redirect.Status
	case r.Direct != nil:
		decision.Status = r.Direct.Status
	}
	return decision
}

func refusal(route string, reason plugin.Reason) Decision {
	return Decision{Route: route, Reason: reason, Status: reason.Info().Status}
}

// services are those that answer requests of the route.
func (r *Route) services() []string {
	switch {
	case r.Split != nil:
		return r.Split.services()
	case r.Upstream == nil:
		return nil
	}
	return []string{r.Service}
}

// questionFields is a question as the conditions of routes see it.
type questionFields struct {
	header http.Header
	query  string
}

// Header implements pattern.Fields.
func (f *questionFields) Header(name string) (value string, present bool) {
	values := f.header[http.CanonicalHeaderKey(name)]
	if len(values) == 0 {
		return "", false
	}
	return values[0], true
}

// Query implements pattern.Fields.
func (f *questionFields) Query(name string) (value string, present bool) {
	return pattern.QueryValue(f.query, name)
}

// questionOf reads a URL, or a path alone.
func questionOf(method, text string) (Question, error) {
	q := Question{Method: method, At: time.Now(), Header: http.Header{}}
	if method == "" {
		q.Method = http.MethodGet
	}
	rest := text
	if !strings.HasPrefix(text, "/") {
		parsed, err := url.Parse(text)
		if err != nil {
			return q, err
		}
		q.Host = parsed.Host
		_, rest, _ = strings.Cut(text, "://")
		at := strings.IndexAny(rest, "/?#")
		rest = rest[max(at, 0):]
		if at < 0 {
			rest = "/"
		}
	}
	rest, _, _ = strings.Cut(rest, "#")
	q.RawPath, q.RawQuery, _ = strings.Cut(rest, "?")
	if q.RawPath == "" {
		q.RawPath = "/"
	}
	return q, nil
}

// Agrees tells whether two decisions come to the same for a client.
func (d Decision) Agrees(other Decision) bool {
	if d.Reason != plugin.ReasonNone || other.Reason != plugin.ReasonNone {
		return d.Route == other.Route && d.Reason == other.Reason
	}
	return d.Route == other.Route && d.Status == other.Status && slices.Equal(d.Services, other.Services)
}

// String is the decision in a word or two: a reason, "service " and names, or "status " and a number.
func (d Decision) String() string {
	switch {
	case d.Reason != plugin.ReasonNone:
		return d.Reason.String()
	case len(d.Services) > 0:
		return "service " + strings.Join(d.Services, "|")
	default:
		return "status " + strconv.Itoa(d.Status)
	}
}

func (d Decision) answeredBy(service string) bool { return slices.Contains(d.Services, service) }
