package snapshot

// StickyBy says what a sticky coin is thrown for.
type StickyBy uint8

// What a coin may be thrown for.
const (
	// NotSticky: for each request.
	NotSticky StickyBy = iota
	// StickyConsumer: for the consumer whose API key the request brings.
	StickyConsumer
	// StickyHeader: for the value of a header.
	StickyHeader
	// StickyCookie: for the value of a cookie, which the gateway sets with requests that bring none.
	StickyCookie
)

// Stickiness has the coin thrown once for a unit. A request without the unit has a coin of its own.
type Stickiness struct {
	By StickyBy
	// Name is that of the header or the cookie.
	Name string
	// Secret is what units are hashed with: the same on all agents, for the whole rollout.
	Secret [32]byte
}
