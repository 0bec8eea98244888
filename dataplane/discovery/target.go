package discovery

import (
	"cmp"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// MaxTargets is how many targets a source gives at most, as many as a service may list.
const MaxTargets = 1024

// MaxWeight is the greatest weight of a target.
const MaxWeight = 1_000_000

// Target is one destination.
type Target struct {
	// Address is "host:port"; the host is an IP address, in brackets if it is IPv6, or a name.
	Address string `json:"address"`
	// Weight is the share of requests, relative to the others, from 1 to [MaxWeight].
	Weight uint32 `json:"weight"`
	// Zone is where the target runs; empty if the source does not say.
	Zone string `json:"zone,omitempty"`
}

// arrange sorts targets by address and leaves one for each; of several with one address the heaviest. It cuts off what is more
// than [MaxTargets], always the same part, and tells how many that were.
func arrange(targets []Target) (arranged []Target, cut int) {
	arranged = slices.Clone(targets)
	for i := range arranged {
		arranged[i].Weight = min(max(1, arranged[i].Weight), MaxWeight)
	}
	slices.SortFunc(arranged, func(a, b Target) int {
		return cmp.Or(strings.Compare(a.Address, b.Address), cmp.Compare(b.Weight, a.Weight), strings.Compare(a.Zone, b.Zone))
	})
	arranged = slices.CompactFunc(arranged, func(a, b Target) bool { return a.Address == b.Address })
	if cut = len(arranged) - MaxTargets; cut > 0 {
		return arranged[:MaxTargets], cut
	}
	return arranged, 0
}

// usable tells whether connections to an address can be opened at all. Whether they may is not decided here.
func usable(address netip.Addr) bool {
	return address.IsValid() && address.Zone() == "" && !address.IsUnspecified() && !address.IsMulticast()
}

// joinAddress makes an address of a host as a directory gives it, an IP address or a name. It is false if that is neither.
func joinAddress(host string, port int) (address string, ok bool) {
	if port < 1 || port > 65535 {
		return "", false
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		if !usable(ip) {
			return "", false
		}
		return netip.AddrPortFrom(ip.Unmap(), uint16(port)).String(), true
	}
	if !isHostName(host) {
		return "", false
	}
	return net.JoinHostPort(strings.ToLower(host), strconv.Itoa(port)), true
}

const nameCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

// isHostName tells whether a text is a name as DNS has it (RFC 1123, section 2.1), with underscores, which are in use.
func isHostName(text string) bool {
	text = strings.TrimSuffix(text, ".")
	if text == "" || len(text) > 253 {
		return false
	}
	for label := range strings.SplitSeq(text, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		if strings.IndexFunc(label, func(c rune) bool { return !strings.ContainsRune(nameCharacters, c) }) >= 0 {
			return false
		}
	}
	return true
}
