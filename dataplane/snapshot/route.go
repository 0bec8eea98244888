package snapshot

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"

	"tidegate.dev/dataplane/overload"
	"tidegate.dev/dataplane/plugin"
	"tidegate.dev/dataplane/router"
	"tidegate.dev/proto/pattern"
	"tidegate.dev/proto/revision"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// routeSource is a route as it was read, before it is resolved.
type routeSource struct {
	number uint32
	rule   pattern.Rule
	// spec is what was read; it is not changed.
	spec *configv1.Route
	// services are those that answer.
	services []string
	// timeouts are the route's own; zero takes the service's.
	timeouts Timeouts
	rewrite  *Rewrite
	redirect *Redirect
	direct   *DirectResponse

	fault           *Fault
	criticality     overload.Criticality
	maxRequestBytes int64
}

func (c *compilation) readRoute(resource revision.Resource) {
	var spec configv1.Route
	if !c.decode(resource, &spec) {
		return
	}
	name := resource.Key.String()
	source := &routeSource{
		spec:     &spec,
		services: spec.Services(),
		rule:     c.rule(resource, &spec),
		timeouts: c.timeouts(name, spec.GetTimeouts(), Timeouts{}),
	}
	c.checkSplit(name, &spec)
	c.readAnswer(name, &spec, source)
	c.readShaping(name, &spec, source)
	if before, ok := c.next.routes[resource.Name]; ok {
		source.number = before.number
	} else {
		source.number = c.next.numbers.take()
	}
	c.next.routes[resource.Name] = source
	c.routes[resource.Name] = true
}

func (c *compilation) rule(resource revision.Resource, spec *configv1.Route) pattern.Rule {
	name := resource.Key.String()
	rule := pattern.Rule{Name: resource.Name, Priority: spec.GetPriority()}
	for i, text := range spec.GetMatch().GetHosts() {
		host, err := pattern.ParseHost(text)
		if err != nil {
			c.failPattern(name, fmt.Sprintf("match.hosts[%d]", i), err)
		}
		rule.Hosts = append(rule.Hosts, host)
	}
	for i, text := range spec.GetMatch().GetPaths() {
		path, err := pattern.ParsePath(text)
		if err != nil {
			c.failPattern(name, fmt.Sprintf("match.paths[%d]", i), err)
		}
		rule.Paths = append(rule.Paths, path)
	}
	if len(rule.Paths) == 0 {
		c.fail(name, "match.paths", CodeCompile, "has no path; /** matches all")
	}
	for i, text := range spec.GetMatch().GetMethods() {
		method, err := pattern.ParseMethod(text)
		if err != nil {
			c.failPattern(name, fmt.Sprintf("match.methods[%d]", i), err)
		}
		rule.Methods = append(rule.Methods, method)
	}
	rule.Headers = c.conditions(name, "match.headers", spec.GetMatch().GetHeaders(), pattern.ParseHeader)
	rule.Query = c.conditions(name, "match.query", spec.GetMatch().GetQuery(), pattern.ParseQuery)
	return rule
}

type parseCondition func(name string, operator pattern.Operator, value string) (pattern.Condition, error)

func (c *compilation) conditions(resource, field string, list []*configv1.Condition, parse parseCondition) []pattern.Condition {
	var out []pattern.Condition
	for i, spec := range list {
		at := fmt.Sprintf("%s[%d]", field, i)
		operator, value, ok := operatorOf(spec)
		if !ok {
			c.fail(resource, at, CodeCompile, "says nothing of the value")
			continue
		}
		condition, err := parse(spec.GetName(), operator, value)
		if err != nil {
			c.failPattern(resource, at, err)
		}
		out = append(out, condition)
	}
	return out
}

func operatorOf(c *configv1.Condition) (operator pattern.Operator, value string, ok bool) {
	switch test := c.GetTest().(type) {
	case *configv1.Condition_Equals:
		return pattern.Equals, test.Equals, true
	case *configv1.Condition_Prefix:
		return pattern.HasPrefix, test.Prefix, true
	case *configv1.Condition_Regex:
		return pattern.MatchesRegex, test.Regex, true
	case *configv1.Condition_Present:
		return pattern.Present, "", test.Present
	case *configv1.Condition_Absent:
		return pattern.Absent, "", test.Absent
	}
	return 0, "", false
}

func (c *compilation) failPattern(resource, field string, err error) {
	var syntax *pattern.SyntaxError
	if errors.As(err, &syntax) {
		c.fail(resource, field, CodeCompile, "%s", syntax.Error())
		return
	}
	c.fail(resource, field, CodeCompile, "%v", err)
}

// resolveRoutes makes the routes that have to be made anew: those that changed, and those whose service or policies did.
func (c *compilation) resolveRoutes() []router.Entry[*Route] {
	var entries []router.Entry[*Route]
	chains := make(map[place]*plugin.Chain)
	for name := range c.affected() {
		source := c.next.routes[name]
		if route, ok := c.resolve(name, source, chains); ok {
			entries = append(entries, router.Entry[*Route]{Rule: source.rule, Value: route})
		}
	}
	return entries
}

// resolve makes a route. One with several backends is the route of the first, which knows the others.
func (c *compilation) resolve(name string, source *routeSource, chains map[place]*plugin.Chain) (*Route, bool) {
	c.checkStickyConsumer(name, source)
	mirror := c.mirror(name, source.spec.GetMirror())
	if len(source.services) == 0 {
		return &Route{
			Name: name, Number: source.number, Chain: c.next.places.chain(name, "", chains),
			Redirect: source.redirect, Direct: source.direct,
			Mirror: mirror, Fault: source.fault, Criticality: source.criticality, MaxRequestBytes: source.maxRequestBytes,
		}, true
	}
	var routes []*Route
	for i, service := range source.services {
		target, ok := c.next.services[service]
		if !ok {
			c.fail("routes/"+name, source.serviceField(i), CodeReference, "there is no service %q", service)
			continue
		}
		routes = append(routes, &Route{
			Name:         name,
			Service:      service,
			Number:       source.number,
			Chain:        c.next.places.chain(name, service, chains),
			Upstream:     target.value.upstream,
			HostOfTarget: target.value.hostOfTarget,

			DeadlineHeader: target.value.deadlineHeader,
			Timeouts:       source.timeouts.over(target.value.timeouts),
			Rewrite:        source.rewrite,

			Mirror: mirror, Fault: source.fault, Criticality: source.criticality, MaxRequestBytes: source.maxRequestBytes,
		})
	}
	if len(routes) == 0 || len(routes) < len(source.services) {
		return nil, false
	}
	if len(routes) == 1 {
		return routes[0], true
	}
	first := *routes[0]
	first.Split = newSplit(source.spec, routes)
	return &first, true
}

func (s *routeSource) serviceField(i int) string {
	if s.spec.GetService() != "" {
		return "service"
	}
	return fmt.Sprintf("backends[%d].service", i)
}

// affected visits the names of the routes that have to be made anew. Most changes are of routes alone, and then no other is
// looked at.
func (c *compilation) affected() iter.Seq[string] {
	all := c.Previous == nil || c.touched[place{}]
	if !all && len(c.services) == 0 && len(c.touched) == 0 {
		return maps.Keys(c.routes)
	}
	return func(yield func(string) bool) {
		for name, source := range c.next.routes {
			changed := func(service string) bool { return c.services[service] || c.touched[place{service: service}] }
			anew := all || c.routes[name] || c.touched[place{route: name}] || slices.ContainsFunc(source.services, changed) ||
				c.services[source.spec.GetMirror().GetService()]
			if anew && !yield(name) {
				return
			}
		}
	}
}

// over fills what t leaves open. The service's pools know its connect timeout, so only another is named.
func (t Timeouts) over(service Timeouts) Timeouts {
	if t.Connect == service.Connect {
		t.Connect = 0
	}
	if t.ResponseHeader == 0 {
		t.ResponseHeader = service.ResponseHeader
	}
	if t.Idle == 0 {
		t.Idle = service.Idle
	}
	if t.Total == 0 {
		t.Total = service.Total
	}
	return t
}
