package openapi

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"tidegate.dev/controlplane/cli/declarative"
	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// Options say how a description becomes resources.
type Options struct {
	// Service is the name of the service that all routes use.
	Service string
	// URL is where the service is. Empty: the description's first server, which must then be absolute. A path in it replaces
	// that of the description's server; without one, the server's is kept.
	URL string
	// Prefix is put before every path at the gateway: "/github". The upstream sees it too.
	Prefix string
	// NamePrefix is put before the name of every route.
	NamePrefix string
}

// Result is what a description became.
type Result struct {
	Resources []*adminv1.Resource
	// Operations in the description; each has a route unless Notes say otherwise.
	Operations int
	// Notes say, in words, what could not be carried over as it is.
	Notes []string
}

// Convert makes a service, and a route for each operation, in the order of paths and methods.
func Convert(content []byte, options Options) (Result, error) {
	d, err := read(content)
	if err != nil {
		return Result{}, err
	}
	target, err := targetURL(d, options)
	if err != nil {
		return Result{}, err
	}
	prefix := strings.TrimSuffix(options.Prefix, "/")
	if prefix != "" && !strings.HasPrefix(prefix, "/") {
		return Result{}, fmt.Errorf("the prefix %q does not begin with a slash", options.Prefix)
	}
	c := &converter{document: d, options: options, prefix: prefix, names: make(map[string]bool), places: make(map[string]string)}
	c.result.Resources = append(c.result.Resources, declarative.NewResource(options.Service, nil, &configv1.Service{Url: target}))
	for _, path := range slices.Sorted(maps.Keys(d.Paths)) {
		c.path(path, d.Paths[path])
	}
	if c.result.Operations == 0 {
		return Result{}, errors.New("the description has no operations")
	}
	return c.result, nil
}

// targetURL is where the service is.
func targetURL(d *document, options Options) (string, error) {
	described := &url.URL{}
	if len(d.Servers) > 0 {
		parsed, err := url.Parse(d.Servers[0].url())
		if err != nil {
			return "", fmt.Errorf("reading the URL of the description's server: %w", err)
		}
		described = parsed
	}
	if options.URL == "" {
		if described.Host == "" {
			return "", errors.New("the description names no absolute server: say where it is with --url")
		}
		return trimSlash(described.String()), nil
	}
	given, err := url.Parse(options.URL)
	if err != nil || given.Host == "" {
		return "", fmt.Errorf("%q is not a URL such as http://127.0.0.1:9001", options.URL)
	}
	if given.Path == "" {
		given.Path = described.Path
	}
	return trimSlash(given.String()), nil
}

func trimSlash(u string) string { return strings.TrimSuffix(u, "/") }

type converter struct {
	document *document
	options  Options
	prefix   string
	names    map[string]bool   // of routes, taken
	places   map[string]string // who has a method and canonical pattern
	result   Result
}

func (c *converter) note(where, what string) {
	c.result.Notes = append(c.result.Notes, where+": "+what)
}

func (c *converter) path(path string, item pathItem) {
	if item.Ref != "" {
		resolved, ok := c.document.Components.PathItems[strings.TrimPrefix(item.Ref, "#/components/pathItems/")]
		if !ok {
			c.note(path, "it refers to "+item.Ref+", which is not in the description; no routes were made")
			return
		}
		item = resolved
	}
	for _, m := range item.methods() {
		c.result.Operations++
		c.operation(path, item, m)
	}
}

func (c *converter) operation(path string, item pathItem, m method) {
	where := m.name + " " + path
	if len(m.operation.Servers) > 0 || len(item.Servers) > 0 {
		c.note(where, "it names servers of its own, which are ignored")
	}
	t, err := translate(c.prefix, path, c.multiSegment(item.Parameters, m.operation.Parameters))
	if err != nil {
		c.note(where, "no route was made: "+err.Error())
		return
	}
	place := m.name + " " + t.canonical()
	if other, taken := c.places[place]; taken {
		c.note(where, "no route was made: it matches the same requests as "+other)
		return
	}
	c.places[place] = where
	for _, note := range t.notes {
		c.note(where, note)
	}
	route := &configv1.Route{Service: c.options.Service, Match: &configv1.Match{Paths: t.patterns, Methods: []string{m.name}}}
	if t.narrow {
		route.Priority = 1
	}
	name := c.name(cmp.Or(m.operation.ID, m.name+path))
	c.result.Resources = append(c.result.Resources, declarative.NewResource(name, nil, route))
}

// multiSegment are the path parameters whose values may hold slashes.
func (c *converter) multiSegment(lists ...[]parameter) map[string]bool {
	found := make(map[string]bool)
	for _, p := range slices.Concat(lists...) {
		if p.Ref != "" {
			p = c.document.Components.Parameters[strings.TrimPrefix(p.Ref, "#/components/parameters/")]
		}
		if p.In == "path" && p.MultiSegment {
			found[p.Name] = true
		}
	}
	return found
}

var (
	notInName = regexp.MustCompile(`[^a-z0-9._-]+`)
	humps     = regexp.MustCompile(`([a-z0-9])([A-Z])`)
)

// maxName is how long the name of a resource may be.
const maxName = 128

// name makes the name of a route that is not taken: "repos/getContent" becomes "repos-get-content".
func (c *converter) name(id string) string {
	name := notInName.ReplaceAllString(strings.ToLower(humps.ReplaceAllString(c.options.NamePrefix+id, "$1-$2")), "-")
	name = strings.Trim(name, "-._")
	if name == "" {
		name = "operation"
	}
	name = strings.Trim(name[:min(len(name), maxName-6)], "-._")
	unique := name
	for n := 2; c.names[unique]; n++ {
		unique = fmt.Sprintf("%s-%d", name, n)
	}
	c.names[unique] = true
	return unique
}
