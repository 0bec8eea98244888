package declarative

import (
	"fmt"

	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// Check holds every resource against the rules of the schema that need no other resource: what can be said offline. The
// error is Problems when something breaks them.
func (s *Set) Check() error {
	var problems Problems
	for _, r := range s.Resources {
		violations, err := configv1.Validate(Spec(r.Value))
		if err != nil {
			return fmt.Errorf("checking %s: %w", r.Reference(), err)
		}
		for _, v := range violations {
			problems = append(problems, s.Locate(r.Reference(), v.Field, v.Message))
		}
		if violations, err = configv1.Validate(r.Value); err != nil {
			return fmt.Errorf("checking %s: %w", r.Reference(), err)
		}
		for _, v := range violations {
			if isEnvelope(v.Field) {
				problems = append(problems, s.Locate(r.Reference(), v.Field, v.Message))
			}
		}
	}
	return problems.orNil()
}

// isEnvelope says whether a path is about the name or the labels; those of the spec were reported already.
func isEnvelope(path string) bool {
	parts := splitPath(path)
	return len(parts) > 0 && (parts[0] == "name" || parts[0] == "labels")
}
