// Package identity says who asks and what they may do: admin tokens, console sessions, roles, and the slowing down of those
// who guess. What was done is read from the audit here too.
//
// Tokens and sessions are 256 random bits, so a plain SHA-256 of them is all that is stored; the token itself is shown once.
//
// It must never know what is asked for: no RPC names, no HTTP, no cookies, no rules of configuration or rollouts.
package identity
