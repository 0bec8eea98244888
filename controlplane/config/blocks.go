package config

import (
	"fmt"
	"net/netip"
	"time"

	"google.golang.org/protobuf/proto"

	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

const ruleWideBlock = "block.wide"

// Ranges of fewer bits are taken for a mistake unless the block says that it is meant to be wide.
const (
	narrowestIPv4 = 8
	narrowestIPv6 = 16
)

// checkBlock says what is wrong with a block beyond the form of its fields.
func checkBlock(block *configv1.Block, now time.Time) []configv1.FieldViolation {
	var violations []configv1.FieldViolation
	for i, text := range block.GetAddresses() {
		if problem := problemOfRange(text, block.GetWide()); problem != "" {
			violations = append(violations, configv1.FieldViolation{
				Field: fmt.Sprintf("addresses[%d]", i), Rule: ruleWideBlock, Message: problem,
			})
		}
	}
	if expiry := blockEnds(block); block.GetExpiresAt() != "" && !expiry.After(now) {
		message := "has passed: there is nothing to block any more"
		if expiry.IsZero() {
			message = "must be a time such as 2027-01-31T00:00:00Z"
		}
		violations = append(violations, configv1.FieldViolation{Field: "expires_at", Rule: ruleExpired, Message: message})
	}
	return violations
}

func problemOfRange(text string, wide bool) string {
	if address, err := netip.ParseAddr(text); err == nil {
		if address.Zone() != "" {
			return "an address has no zone here"
		}
		return ""
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return "must be an address, or a range such as 192.0.2.0/24"
	}
	narrowest := narrowestIPv4
	if prefix.Addr().Is6() {
		narrowest = narrowestIPv6
	}
	switch {
	case prefix.Addr().Is4In6():
		return "is IPv4 written as IPv6; write it as IPv4"
	case prefix.Bits() < narrowest && !wide:
		return fmt.Sprintf("refuses a large part of the internet (wider than /%d); set wide if that is meant", narrowest)
	}
	return ""
}

// blockEnds is when a resource of the fast lane is to be deleted by itself; zero: never.
func blockEnds(spec proto.Message) time.Time {
	block, ok := spec.(*configv1.Block)
	if !ok || block.GetExpiresAt() == "" {
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339, block.GetExpiresAt())
	if err != nil {
		return time.Time{}
	}
	return at
}
