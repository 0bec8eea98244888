package snapshot

import (
	"maps"
	"slices"

	"tidegate.dev/dataplane/lane"
	"tidegate.dev/dataplane/plugin"
	"tidegate.dev/dataplane/router"
	"tidegate.dev/dataplane/upstream"
	configv1 "tidegate.dev/proto/tidegate/config/v1"

	"tidegate.dev/proto/revision"
)

// Input is what a snapshot is compiled from.
type Input struct {
	Revision int64
	Root     revision.Digest
	Content  *revision.Content
	// Previous is a snapshot whose parts are used again where they did not change; nil for none. The caller holds it.
	Previous *Snapshot
	// Registry, State and Lane must be those of Previous.
	Registry *upstream.Registry
	State    *plugin.State
	Lane     *lane.Table
}

// compilation is one run of Compile.
type compilation struct {
	Input
	next   *Snapshot
	errors []ResourceError

	// What changed, by name.
	services map[string]bool
	routes   map[string]bool
	// gone are the routes that are there no more.
	gone    []string
	touched map[place]bool
	deleted bool
}

// Compile makes a snapshot, which the caller holds and releases. Its cost follows the difference from Previous. An error is an
// *[Error] that lists what is wrong with which resource; a panic, which no input should cause, is the caller's to contain.
func Compile(in Input) (*Snapshot, error) {
	c := newCompilation(in)
	// Whatever happens from here on, parts that were taken are given back.
	done := false
	defer func() {
		if !done {
			c.next.letGo()
		}
	}()
	c.read()
	if err := c.failure(); err != nil {
		return nil, err
	}
	c.next.places = c.bind()
	c.checkReferences()
	upserts := c.resolveRoutes()
	if err := c.failure(); err != nil {
		return nil, err
	}
	if err := c.route(upserts); err != nil {
		return nil, err
	}
	done = true
	return c.next, nil
}

func newCompilation(in Input) *compilation {
	c := &compilation{
		Input:    in,
		services: make(map[string]bool),
		routes:   make(map[string]bool),
		touched:  make(map[place]bool),
	}
	c.next = &Snapshot{
		revision: in.Revision, root: in.Root, content: in.Content,
		services: make(map[string]*held[*service]),
		plugins:  make(map[string]*held[*boundPlugin]),
		plans:    make(map[string]*held[*plan]),
		routes:   make(map[string]*routeSource),
		tests:    make(map[string]*configTest),
		lane:     in.Lane,
	}
	c.next.references.Store(1)
	if p := in.Previous; p != nil {
		c.next.services, c.next.plugins = keep(p.services), keep(p.plugins)
		c.next.plans, c.next.routes, c.next.tests = keep(p.plans), maps.Clone(p.routes), maps.Clone(p.tests)
		c.next.numbers = numbers{p.numbers.highest, slices.Clone(p.numbers.free)}
		c.next.places = p.places
	}
	return c
}

func keep[T any](parts map[string]*held[T]) map[string]*held[T] {
	for _, part := range parts {
		part.retain()
	}
	return maps.Clone(parts)
}

// difference is what has to be read.
func (c *compilation) difference() revision.Delta {
	if c.Previous != nil {
		return revision.Diff(c.Previous.content, c.Content)
	}
	var all revision.Delta
	for entry, body := range c.Content.All() {
		all.Upserts = append(all.Upserts, revision.Resource{Key: entry.Key, Body: body})
	}
	return all
}

func (c *compilation) read() {
	delta := c.difference()
	for _, key := range delta.Deletes {
		c.delete(key)
	}
	for _, resource := range delta.Upserts {
		switch resource.Kind {
		case configv1.Kind_KIND_SERVICE:
			c.readService(resource)
		case configv1.Kind_KIND_ROUTE:
			c.readRoute(resource)
		case configv1.Kind_KIND_PLUGIN:
			c.readPlugin(resource)
		case configv1.Kind_KIND_PLAN:
			c.readPlan(resource)
		case configv1.Kind_KIND_TEST:
			c.readTest(resource)
		default:
			c.fail(resource.Key.String(), "", CodeCapability, "this agent does not know kind %d in a revision", resource.Kind)
		}
	}
}

func (c *compilation) delete(key revision.Key) {
	c.deleted = true
	switch key.Kind {
	case configv1.Kind_KIND_SERVICE:
		c.services[key.Name] = true
		drop(c.next.services, key.Name)
	case configv1.Kind_KIND_ROUTE:
		if source, ok := c.next.routes[key.Name]; ok {
			c.next.numbers.give(source.number)
			delete(c.next.routes, key.Name)
			c.gone = append(c.gone, key.Name)
		}
	case configv1.Kind_KIND_PLUGIN:
		if before, ok := c.next.plugins[key.Name]; ok {
			c.touched[before.value.place] = true
			drop(c.next.plugins, key.Name)
		}
	case configv1.Kind_KIND_PLAN:
		drop(c.next.plans, key.Name)
	case configv1.Kind_KIND_TEST:
		delete(c.next.tests, key.Name)
	}
}

func drop[T any](parts map[string]*held[T], name string) {
	if part, ok := parts[name]; ok {
		delete(parts, name)
		part.release()
	}
}

func put[T any](parts map[string]*held[T], name string, part *held[T]) {
	drop(parts, name)
	parts[name] = part
}

// route carries the routes that changed into the router.
func (c *compilation) route(upserts []router.Entry[*Route]) error {
	var err error
	if c.Previous == nil {
		c.next.router, err = router.New(upserts)
	} else {
		c.next.router, err = c.Previous.router.With(upserts, c.gone)
	}
	if err != nil {
		c.fail("routes", "", CodeCompile, "%v", err)
	}
	return c.failure()
}
