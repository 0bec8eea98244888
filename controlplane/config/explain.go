package config

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"tidegate.dev/controlplane/store"
	"tidegate.dev/proto/pattern"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// Explanation says which route a request takes, why, and what would happen to it there.
type Explanation struct {
	// Route and Service are empty when no route matches. Several services are separated by commas.
	Route, Service string
	// Pattern is the path pattern that matched, and Parameters what its parameters hold.
	Pattern    string
	Parameters map[string]string
	// Conditions are what the route asks of the header and the query, in words.
	Conditions []string
	// Backends say, in words, how several services share the requests; empty for one.
	Backends []string
	// Action says, in words, what is rewritten, or what answers instead of a service; empty if nothing does.
	Action string
	// Plugins are those of the route, in the order in which they run, each with the reason why it applies or not.
	Plugins []ExplainedPlugin
	// Others are the nearest other routes and why they do not take the request.
	Others []ExplainedRoute
}

// ExplainedPlugin is one plugin that bears on the route.
type ExplainedPlugin struct{ Name, Type, Phase, Reason string }

// ExplainedRoute is one route that does not take the request.
type ExplainedRoute struct{ Name, Reason string }

const (
	// maxExplained bounds how many resources of a kind are looked through.
	maxExplained = 200_000
	maxOthers    = 5
)

// Explain says what becomes of a request at head or, with the view "stable", in what has proved itself.
func (s *Service) Explain(ctx context.Context, fleet, view string, asked Asked) (Explanation, error) {
	if err := checkView(view); err != nil {
		return Explanation{}, err
	}
	request, err := asked.request()
	if err != nil {
		return Explanation{}, err
	}
	var explanation Explanation
	err = s.viewFleet(ctx, fleet, func(tx *store.Tx, fleet store.Fleet, head store.Head) error {
		e := explainer{service: s, tx: tx, fleet: fleet, head: head, view: view}
		explanation, err = e.explain(ctx, request)
		return err
	})
	return explanation, err
}

// Asked is the request that an explanation is about.
type Asked struct {
	Method string
	// URL is "https://host/path" or a bare path, which means any host; with or without a query.
	URL string
	// Headers by name, in any case.
	Headers map[string]string
}

// askedFields answers conditions.
type askedFields struct {
	headers map[string]string
	query   string
}

// Header implements pattern.Fields.
func (f askedFields) Header(name string) (value string, present bool) {
	value, present = f.headers[name]
	return value, present
}

// Query implements pattern.Fields.
func (f askedFields) Query(name string) (value string, present bool) {
	return pattern.QueryValue(f.query, name)
}

func (a Asked) request() (pattern.Request, error) {
	method, err := pattern.ParseMethod(a.Method)
	if err != nil {
		return pattern.Request{}, refusedField("method", "route.method", err.Error())
	}
	address, _, _ := strings.Cut(a.URL, "#")
	address, query, _ := strings.Cut(address, "?")
	host, path := "", address
	if !strings.HasPrefix(address, "/") {
		parsed, err := url.Parse(address)
		if err != nil || parsed.Host == "" {
			return pattern.Request{}, refusedField("url", ruleURL, `must be "https://host/path" or a path that begins with "/"`)
		}
		host, path = parsed.Host, parsed.EscapedPath()
	}
	normal, err := pattern.NormalizePath(path)
	var bad *pattern.PathError
	if errors.As(err, &bad) {
		return pattern.Request{}, refusedField("url", "path", "the gateway refuses this path: "+bad.Error())
	}
	fields := askedFields{headers: make(map[string]string, len(a.Headers)), query: query}
	for name, value := range a.Headers {
		fields.headers[strings.ToLower(name)] = value
	}
	return pattern.Request{Method: method, Host: host, Path: normal, Fields: fields}, err
}

// explainer works within one transaction.
type explainer struct {
	service *Service
	tx      *store.Tx
	fleet   store.Fleet
	head    store.Head
	view    string
}

func (e explainer) explain(ctx context.Context, request pattern.Request) (Explanation, error) {
	routes, rules, err := e.routes(ctx, request)
	if err != nil {
		return Explanation{}, err
	}
	judged := pattern.Explain(rules, request)
	if judged.Winner < 0 && request.Host == "" {
		// Any host: as if no route asked for one.
		rules = slices.Clone(rules)
		for i := range rules {
			rules[i].Hosts = nil
		}
		judged = pattern.Explain(rules, request)
	}
	explanation := Explanation{Others: nearest(rules, judged, request)}
	if judged.Winner < 0 {
		return explanation, nil
	}
	verdict := judged.Verdicts[judged.Winner]
	explanation.Route = verdict.Rule
	services := routes[judged.Winner].Services()
	explanation.Service = strings.Join(services, ", ")
	explanation.Action = actionOf(routes[judged.Winner])
	explanation.Backends = backendsOf(routes[judged.Winner])
	explanation.Pattern = verdict.Fit.Path.Source()
	explanation.Parameters = parametersOf(verdict.Fit.Path, request.Path)
	explanation.Conditions = conditionsOf(rules[judged.Winner])
	explanation.Plugins, err = e.plugins(ctx, explanation.Route, services)
	return explanation, err
}

func conditionsOf(rule pattern.Rule) []string {
	var out []string
	for _, condition := range rule.Headers {
		out = append(out, "header "+condition.String())
	}
	for _, condition := range rule.Query {
		out = append(out, "query parameter "+condition.String())
	}
	return out
}

// actionOf says what a route does beside handing requests to a service.
func actionOf(route *configv1.Route) string {
	var parts []string
	add := func(format, value string) {
		if value != "" {
			parts = append(parts, fmt.Sprintf(format, value))
		}
	}
	switch {
	case route.GetRedirect() != nil:
		redirect := route.GetRedirect()
		parts = append(parts, fmt.Sprintf("redirects with %d", cmp.Or(redirect.GetStatus(), 302)))
		add("to scheme %s", redirect.GetScheme())
		add("to host %s", redirect.GetHost())
		add("to path %s", redirect.GetPath())
	case route.GetDirectResponse() != nil:
		parts = append(parts, fmt.Sprintf("answers %d by itself", route.GetDirectResponse().GetStatus()))
	default:
		add("rewrites what stands in front of ** to %s", route.GetRewrite().GetPathPrefix())
		add("rewrites the path to %s", route.GetRewrite().GetPath())
		add("sends the host %s", route.GetRewrite().GetHost())
	}
	return strings.Join(append(parts, shapingOf(route)...), ", ")
}

// backendsOf says how the backends of a route share its requests.
func backendsOf(route *configv1.Route) []string {
	total := 0.0
	for _, backend := range route.GetBackends() {
		total += float64(backend.GetWeight())
	}
	var out []string
	for _, backend := range route.GetBackends() {
		out = append(out, fmt.Sprintf("%s: %.4g %% of the requests", backend.GetService(), 100*float64(backend.GetWeight())/total))
	}
	switch by := route.GetSticky().GetBy().(type) {
	case *configv1.Sticky_Cookie:
		out = append(out, "sticky by cookie "+by.Cookie)
	case *configv1.Sticky_Header:
		out = append(out, "sticky by header "+by.Header)
	case *configv1.Sticky_Consumer:
		out = append(out, "sticky by consumer")
	}
	if name := route.GetOverride().GetHeader(); name != "" {
		out = append(out, "header "+name+" may name the service")
	}
	if name := route.GetOverride().GetCookie(); name != "" {
		out = append(out, "cookie "+name+" may name the service")
	}
	return out
}

// nearest are the routes that matched too, then those whose paths are most like the request's.
func nearest(rules []pattern.Rule, judged pattern.Explanation, request pattern.Request) []ExplainedRoute {
	type candidate struct {
		index    int
		likeness int
	}
	var candidates []candidate
	for i, verdict := range judged.Verdicts {
		if i == judged.Winner {
			continue
		}
		likeness := 0
		for _, path := range rules[i].Paths {
			likeness = max(likeness, commonPrefix(path.Source(), request.Path))
			if path.Matches(request.Path) {
				likeness = max(likeness, len(request.Path)+1)
			}
		}
		if verdict.Matched {
			likeness = len(request.Path) + 2
		}
		if likeness > 1 { // more than the first slash
			candidates = append(candidates, candidate{i, likeness})
		}
	}
	slices.SortStableFunc(candidates, func(a, b candidate) int { return cmp.Compare(b.likeness, a.likeness) })
	var others []ExplainedRoute
	for _, c := range candidates[:min(len(candidates), maxOthers)] {
		others = append(others, ExplainedRoute{Name: judged.Verdicts[c.index].Rule, Reason: judged.Verdicts[c.index].Reason})
	}
	return others
}

func commonPrefix(a, b string) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// parametersOf are the values that a pattern takes from a path which it matches.
func parametersOf(path pattern.Path, text string) map[string]string {
	parameters := map[string]string{}
	if re := path.Regexp(); re != nil {
		values := re.FindStringSubmatch(pattern.MatchForm(text))
		for i, name := range re.SubexpNames() {
			if name != "" && i < len(values) {
				parameters[name] = values[i]
			}
		}
		return parameters
	}
	segments := strings.Split(strings.TrimPrefix(text, "/"), "/")
	for _, capture := range path.Captures() {
		switch {
		case capture.Segment >= len(segments):
			parameters[capture.Name] = ""
		case capture.Rest:
			parameters[capture.Name] = strings.Join(segments[capture.Segment:], "/")
		default:
			parameters[capture.Name] = segments[capture.Segment]
		}
	}
	return parameters
}
