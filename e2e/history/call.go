// Package history says what a history of concurrent calls of the admin API may look like: as if they had been carried out one after
// the other, each at some moment between its beginning and its end. It knows no HTTP; a test records what it called and what it was
// answered, and [Check] looks for such an order (github.com/anishathalye/porcupine).
package history

import (
	"fmt"
	"maps"
	"slices"
)

// Kind is what was called.
type Kind int

// The kinds of calls.
const (
	// Write puts Value at Service, or with an empty Value deletes it.
	Write Kind = iota
	// Publish is Write by a draft that was opened on revision Base.
	Publish
	// Read reads Service at head.
	Read
	// Head reads the number of the fleet's head.
	Head
	// Rollback makes the content of revision To head's again.
	Rollback
	// Revert is no client's call: what the leader commits when a rollout ends without its revision. Changes say what it changed.
	Revert
)

// Call is one call, with everything in it that decides about its answer.
type Call struct {
	Kind    Kind
	Fleet   string
	Service string
	Value   string
	// IfMatch is the version, a revision, that must be there; 0: any.
	IfMatch int
	Base    int
	To      int
	Changes []Change
}

// Change is what a revert did to one service; empty values are absent services.
type Change struct{ Service, Before, After string }

// Outcome is what became of a call.
type Outcome int

// The outcomes.
const (
	// Unknown: the answer was lost. The call may have had its effect, may have it later, or never.
	Unknown Outcome = iota
	// Done: it had its effect, or read.
	Done
	// Conflict: it was refused for what changed meanwhile (409 or 412).
	Conflict
	// Absent: there is no such service (404).
	Absent
)

// Answer is what was answered.
type Answer struct {
	Outcome Outcome
	// Revision is what a write made, 0 if nothing changed, or what Head read.
	Revision int
	// Value and Version are what Read read.
	Value   string
	Version int
}

func describe(call Call, answer Answer) string {
	target := map[Kind]string{
		Write:    fmt.Sprintf("write %s=%q if %d", call.Service, call.Value, call.IfMatch),
		Publish:  fmt.Sprintf("publish %s=%q on %d", call.Service, call.Value, call.Base),
		Read:     "read " + call.Service,
		Head:     "head",
		Rollback: fmt.Sprintf("rollback to %d", call.To),
		Revert:   fmt.Sprintf("revert %v", call.Changes),
	}[call.Kind]
	switch answer.Outcome {
	case Unknown:
		return target + ": no answer"
	case Conflict:
		return target + ": conflict"
	case Absent:
		return target + ": absent"
	case Done:
	}
	if call.Kind == Read {
		return fmt.Sprintf("%s: %q, version %d", target, answer.Value, answer.Version)
	}
	return fmt.Sprintf("%s: revision %d", target, answer.Revision)
}

// content is what each service holds; an absent one is not in it. It is never changed once it is in a state.
type content map[string]string

func (c content) with(service, value string) content {
	next := maps.Clone(c)
	if next == nil {
		next = content{}
	}
	if value == "" {
		delete(next, service)
	} else {
		next[service] = value
	}
	return next
}

// differing are the services that two contents do not have alike, by name.
func differing(a, b content) []string {
	var names []string
	for name, value := range a {
		if b[name] != value {
			names = append(names, name)
		}
	}
	for name := range b {
		if _, both := a[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
