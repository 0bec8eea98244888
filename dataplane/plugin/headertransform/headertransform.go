// Package headertransform is the policy that changes headers of the request before it goes upstream, and of the response
// before it goes to the client.
package headertransform

import (
	"net/textproto"

	"tidegate.dev/dataplane/lane"
	"tidegate.dev/dataplane/plugin"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// New makes the policy of its settings: a handler of requests, of responses or of both, so that a phase without changes
// costs nothing.
func New(settings *configv1.HeaderTransform, secrets *lane.Table) any {
	request, response := compile(settings.GetRequest(), secrets), compile(settings.GetResponse(), secrets)
	switch {
	case response.empty():
		return &onRequest{request}
	case request.empty():
		return &onResponse{response}
	}
	return &both{onRequest{request}, onResponse{response}}
}

type onRequest struct{ changes }

// OnRequest changes the request.
func (p *onRequest) OnRequest(x *plugin.Exchange) plugin.Verdict {
	p.apply(x.Request)
	return plugin.Continue()
}

type onResponse struct{ changes }

// OnResponse changes the response.
func (p *onResponse) OnResponse(x *plugin.Exchange) { p.apply(x.Response) }

type both struct {
	onRequest
	onResponse
}

// changes are carried out in the order remove, set, append.
type changes struct {
	secrets *lane.Table
	remove  []string
	set     []field
	add     []field
}

// field is a header: a literal value, or the name of the secret that is its value.
type field struct {
	name, value, secret string
}

func compile(settings *configv1.HeaderChanges, secrets *lane.Table) changes {
	c := changes{secrets: secrets, set: fields(settings.GetSet()), add: fields(settings.GetAppend())}
	for _, name := range settings.GetRemove() {
		c.remove = append(c.remove, textproto.CanonicalMIMEHeaderKey(name))
	}
	return c
}

func fields(settings []*configv1.HeaderField) []field {
	out := make([]field, 0, len(settings))
	for _, f := range settings {
		out = append(out, field{textproto.CanonicalMIMEHeaderKey(f.GetName()), f.GetValue(), f.GetSecret()})
	}
	return out
}

func (c *changes) empty() bool { return len(c.remove)+len(c.set)+len(c.add) == 0 }

func (c *changes) apply(header plugin.Header) {
	for _, name := range c.remove {
		header.Del(name)
	}
	for i := range c.set {
		if value, ok := c.value(&c.set[i]); ok {
			header.Set(c.set[i].name, value)
		} else {
			// Whoever sent the field must not fill the place of a secret that is gone.
			header.Del(c.set[i].name)
		}
	}
	for i := range c.add {
		if value, ok := c.value(&c.add[i]); ok {
			header.Add(c.add[i].name, value)
		}
	}
}

func (c *changes) value(f *field) (string, bool) {
	if f.secret == "" {
		return f.value, true
	}
	return c.secrets.Secret(f.secret)
}
