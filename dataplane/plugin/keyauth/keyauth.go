// Package keyauth is the policy that identifies a consumer by an API key. It always fails closed.
package keyauth

import (
	"net/textproto"
	"strings"

	"tidegate.dev/dataplane/lane"
	"tidegate.dev/dataplane/plugin"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// challenge tells clients what to send (RFC 9110, section 11.6.1).
const challenge = `Bearer realm="tidegate"`

const authorization = "Authorization"

// Policy identifies consumers.
type Policy struct {
	keys     *lane.Table
	headers  []string
	required []string
	forward  bool
	optional bool
}

// New makes the policy of its settings.
func New(settings *configv1.KeyAuth, keys *lane.Table) *Policy {
	p := &Policy{
		keys:     keys,
		headers:  []string{"X-Api-Key", authorization},
		required: settings.GetRequiredScopes(),
		forward:  settings.GetForwardKey(),
		optional: settings.GetOptional(),
	}
	if len(settings.GetHeaders()) > 0 {
		p.headers = nil
		for _, name := range settings.GetHeaders() {
			p.headers = append(p.headers, textproto.CanonicalMIMEHeaderKey(name))
		}
	}
	return p
}

// OnRequest identifies the caller and takes the key out of the request, unless it is to be forwarded.
func (p *Policy) OnRequest(x *plugin.Exchange) plugin.Verdict {
	header, presented := p.find(x.Request)
	key, consumer, verdict := p.check(presented, x)
	if verdict.Refused() {
		return verdict
	}
	if header != "" && !p.forward {
		x.Request.Del(header)
	}
	if key != nil {
		// Field by field, since a caller made at once would be made beside it and copied.
		caller := &x.Caller
		caller.Consumer, caller.Plan = consumer.Name, consumer.Plan
		caller.Key, caller.Scopes, caller.ExpiresAt, caller.LastUsed = key.ID, key.Scopes, key.ExpiresAt, key.LastUsed
		caller.Revocations[0], caller.Revocations[1] = key.Revocation, consumer.Revocation
	}
	return plugin.Continue()
}

// Judge decides as OnRequest would.
func (p *Policy) Judge(x *plugin.Exchange) plugin.Verdict {
	_, presented := p.find(x.Request)
	_, _, verdict := p.check(presented, x)
	return verdict
}

// find returns the first header that holds a key, and the key.
func (p *Policy) find(request plugin.Header) (header, presented string) {
	for _, name := range p.headers {
		value := request.Get(name)
		if name == authorization {
			value = bearer(value)
		}
		if value != "" {
			return name, value
		}
	}
	return "", ""
}

// bearer is the token of "Bearer token"; the scheme's case does not matter (RFC 9110, section 11.1).
func bearer(value string) string {
	scheme, token, found := strings.Cut(value, " ")
	if !found || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimLeft(token, " ")
}

func (p *Policy) check(presented string, x *plugin.Exchange) (*lane.Key, *lane.Consumer, plugin.Verdict) {
	if presented == "" {
		if p.optional {
			return nil, nil, plugin.Continue()
		}
		return nil, nil, unauthorized(plugin.ReasonKeyMissing, "send an API key in "+p.places())
	}
	key, ok := p.keys.KeyAgain(presented, x.Recollection)
	if !ok {
		// Only now, since a key that is known has the form of one.
		if _, wellFormed := configv1.ParseAPIKey(presented); !wellFormed {
			return nil, nil, unauthorized(plugin.ReasonKeyInvalid, "this is no API key")
		}
		return nil, nil, unauthorized(plugin.ReasonKeyInvalid, "no such API key")
	}
	if key.Expired(x.Started) {
		return nil, nil, unauthorized(plugin.ReasonKeyExpired, "")
	}
	consumer, ok := p.keys.Consumer(key.Consumer)
	switch {
	case !ok:
		return nil, nil, unauthorized(plugin.ReasonKeyInvalid, "the API key belongs to nobody")
	case consumer.Blocked:
		return nil, nil, plugin.Refuse(plugin.ReasonBlocked, "the consumer is suspended")
	case consumer.Disabled:
		return nil, nil, plugin.Refuse(plugin.ReasonConsumerDisabled, "")
	case !key.HasScopes(p.required):
		return nil, nil, plugin.Refuse(plugin.ReasonForbidden, "the API key lacks a scope that is needed here")
	}
	return key, consumer, plugin.Continue()
}

func (p *Policy) places() string {
	var places []string
	for _, name := range p.headers {
		place := strings.ToLower(name)
		if name == authorization {
			place = "Authorization: Bearer"
		}
		places = append(places, place)
	}
	return strings.Join(places, " or ")
}

func unauthorized(reason plugin.Reason, detail string) plugin.Verdict {
	return &plugin.Refusal{Reason: reason, Detail: detail, Challenge: challenge}
}
