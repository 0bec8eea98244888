package proxy

import (
	"time"

	"tidegate.dev/dataplane/listener"
	"tidegate.dev/proto/pattern"
)

// identity finds in the lane what a server name shows.
func (p *Proxy) identity(serverName string) (listener.Identity, bool) {
	shown, ok := p.lane.Presentation(serverName, time.Now())
	if !ok {
		return listener.Identity{}, false
	}
	identity := listener.Identity{Certificate: shown.Certificate}
	if auth := shown.ClientAuth; auth != nil {
		identity.ClientAuth = &listener.ClientAuth{Authorities: auth.Authorities, Required: auth.Required, Fingerprint: auth.Fingerprint}
	}
	return identity, true
}

// SetTicketSecret sets what the keys of TLS session tickets are derived from. Any goroutine may call it.
func (p *Proxy) SetTicketSecret(secret []byte) error { return p.tls.SetTicketSecret(secret) }

// misdirected tells whether the request is for a host that the connection was not opened for (RFC 9110, section 15.5.20): the
// client asked for another name, and the certificate that it was shown is not that host's too; or the host serves nobody without
// a certificate of their own, and the connection proved none to it. In clear text nobody proves anything.
func (p *Proxy) misdirected(authority string, c *connection) bool {
	named := c.tls != nil && c.tls.ServerName != ""
	if !named && !p.lane.AsksClients() {
		return false
	}
	host := pattern.NormalizeHost(authority)
	if auth := p.lane.ClientAuth(host); auth != nil && auth.Required && !c.provedTo(auth.Fingerprint) {
		return true
	}
	if !named {
		return false
	}
	shown := pattern.NormalizeHost(c.tls.ServerName)
	if host == shown {
		return false
	}
	ofHost, hostKnown := p.lane.Certificate(host)
	ofShown, shownKnown := p.lane.Certificate(shown)
	return !hostKnown || !shownKnown || ofHost != ofShown
}
