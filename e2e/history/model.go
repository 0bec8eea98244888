package history

import (
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/anishathalye/porcupine"
)

// state is a fleet after some calls. It is never changed; a call that has an effect makes another.
type state struct {
	// contents are those of all revisions; the last is head. Revision 0 is empty.
	contents []content
	// versions are the revisions that wrote the services of head last.
	versions map[string]int
	// fingerprint covers all of it.
	fingerprint [sha256.Size]byte
}

func beginning() state {
	return state{contents: []content{nil}}
}

func (s state) head() int { return len(s.contents) - 1 }

func (s state) content() content { return s.contents[s.head()] }

// commit makes the next revision. It has a number of its own, which is never given out again.
func (s state) commit(next content) state {
	number := s.head() + 1
	versions := map[string]int{}
	for name := range next {
		versions[name] = s.versions[name]
	}
	for _, name := range differing(s.content(), next) {
		if _, present := next[name]; present {
			versions[name] = number
		}
	}
	made := state{contents: append(slices.Clip(s.contents), next), versions: versions}
	// fmt prints maps in the order of their keys.
	made.fingerprint = sha256.Sum256(fmt.Appendf(nil, "%x %v %v", s.fingerprint, next, versions))
	return made
}

// step says whether a fleet can give this answer to this call, and what becomes of the fleet.
func step(s state, call Call, answer Answer) (possible bool, next state) {
	switch call.Kind {
	case Read:
		return reads(s, call, answer), s
	case Head:
		return answer.Revision == s.head(), s
	case Write, Publish:
		return write(s, call, answer)
	case Rollback:
		if call.To > s.head() {
			return answer.Outcome == Unknown, s
		}
		return move(s, s.contents[call.To], answer)
	case Revert:
		return revert(s, call, answer)
	}
	return false, s
}

func reads(s state, call Call, answer Answer) bool {
	value, present := s.content()[call.Service]
	if !present {
		return answer.Outcome == Absent
	}
	return answer.Outcome == Done && answer.Value == value && answer.Version == s.versions[call.Service]
}

func write(s state, call Call, answer Answer) (bool, state) {
	_, present := s.content()[call.Service]
	version := s.versions[call.Service]
	switch {
	case call.Kind == Write && call.IfMatch != 0 && version != call.IfMatch,
		call.Kind == Publish && changedSince(s, call.Service, call.Base):
		return answer.Outcome == Conflict || answer.Outcome == Unknown, s
	case call.Value == "" && !present:
		return answer.Outcome == Absent || answer.Outcome == Unknown, s
	}
	return move(s, s.content().with(call.Service, call.Value), answer)
}

// changedSince says whether a service was written or deleted after a revision.
func changedSince(s state, service string, base int) bool {
	for number := base + 1; number <= s.head(); number++ {
		if s.contents[number][service] != s.contents[number-1][service] {
			return true
		}
	}
	return false
}

// move goes to a content. What is there already makes no revision.
func move(s state, to content, answer Answer) (bool, state) {
	if answer.Outcome != Done && answer.Outcome != Unknown {
		return false, s
	}
	next := s
	made := 0
	if len(differing(s.content(), to)) > 0 {
		next = s.commit(to)
		made = next.head()
	}
	return answer.Outcome == Unknown || answer.Revision == made, next
}

func revert(s state, call Call, answer Answer) (bool, state) {
	to := s.content()
	for _, change := range call.Changes {
		if to[change.Service] != change.Before {
			return false, s
		}
		to = to.with(change.Service, change.After)
	}
	next := s.commit(to)
	return answer.Revision == next.head(), next
}

// model is the specification for the checker.
func model() porcupine.Model {
	return porcupine.Model{
		Partition: func(operations []porcupine.Operation) [][]porcupine.Operation {
			fleets := map[string][]porcupine.Operation{}
			for _, o := range operations {
				fleet := o.Input.(Call).Fleet
				fleets[fleet] = append(fleets[fleet], o)
			}
			var parts [][]porcupine.Operation
			for _, part := range fleets {
				parts = append(parts, part)
			}
			return parts
		},
		Init: func() any { return beginning() },
		Step: func(s, input, output any) (bool, any) {
			possible, next := step(s.(state), input.(Call), output.(Answer))
			return possible, next
		},
		Equal:             func(a, b any) bool { return a.(state).fingerprint == b.(state).fingerprint },
		DescribeOperation: func(input, output any) string { return describe(input.(Call), output.(Answer)) },
		DescribeState: func(s any) string {
			return fmt.Sprintf("revision %d: %v", s.(state).head(), s.(state).content())
		},
	}
}
