package snapshot

import (
	"fmt"
	"slices"
	"strings"
)

// Codes of errors.
const (
	// CodeCompile says that a resource cannot be made to run.
	CodeCompile = "compile"
	// CodeReference says that a resource names another that is not there.
	CodeReference = "reference"
	// CodeCapability says that this agent lacks what a resource needs.
	CodeCapability = "capability"
	// CodeTest says that the revision decides otherwise than one of its tests says.
	CodeTest = "test"
)

// ResourceError is one thing that is wrong with one resource.
type ResourceError struct {
	// Resource is the kind and the name: "routes/orders".
	Resource string
	// Field is the path of the field, empty for the resource as a whole.
	Field string
	// Code is stable.
	Code    string
	Message string
}

func (e ResourceError) String() string {
	if e.Field == "" {
		return e.Resource + ": " + e.Message
	}
	return e.Resource + ", " + e.Field + ": " + e.Message
}

// Error lists all that keeps a revision from being served.
type Error struct {
	Errors []ResourceError
}

func (e *Error) Error() string {
	const shown = 3
	var out strings.Builder
	fmt.Fprintf(&out, "%d errors in the configuration: ", len(e.Errors))
	for i, problem := range e.Errors[:min(shown, len(e.Errors))] {
		if i > 0 {
			out.WriteString("; ")
		}
		out.WriteString(problem.String())
	}
	if len(e.Errors) > shown {
		fmt.Fprintf(&out, "; and %d more", len(e.Errors)-shown)
	}
	return out.String()
}

// mostErrors bounds what is reported of one revision.
const mostErrors = 100

func (c *compilation) fail(resource, field, code, format string, arguments ...any) {
	c.errors = append(c.errors, ResourceError{resource, field, code, fmt.Sprintf(format, arguments...)})
}

// failure returns the errors so far, in the order of their resources.
func (c *compilation) failure() error {
	if len(c.errors) == 0 {
		return nil
	}
	slices.SortStableFunc(c.errors, func(a, b ResourceError) int { return strings.Compare(a.Resource, b.Resource) })
	return &Error{Errors: c.errors[:min(len(c.errors), mostErrors)]}
}
