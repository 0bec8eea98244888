package config

import (
	"fmt"
	"strings"

	"tidegate.dev/proto/revision"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// Violation is one reason why something is refused.
type Violation struct {
	// Resource is what is at fault: "routes/orders".
	Resource string
	// Field is the path of the field in it: "spec.match.paths[0]". Empty: the whole.
	Field string
	// Rule is the rule's stable name: "string.duration", "reference.missing", "route.tie".
	Rule    string
	Message string
}

// String is the violation in one line.
func (v Violation) String() string {
	where := v.Resource
	if v.Field != "" {
		where += " " + v.Field
	}
	return where + ": " + v.Message
}

// maxViolations bounds how many are told at once.
const maxViolations = 1000

// Warning is what looks wrong but may be meant.
type Warning struct {
	Resource string
	Message  string
}

// Violations says everything that keeps something from being stored or published. Nothing was changed.
type Violations struct {
	List []Violation
}

// Error names the first and counts the rest.
func (e *Violations) Error() string {
	switch len(e.List) {
	case 0:
		return "invalid"
	case 1:
		return e.List[0].String()
	}
	return fmt.Sprintf("%s (and %d more)", e.List[0], len(e.List)-1)
}

// Referenced says that something cannot be deleted because others refer to it. Nothing was changed.
type Referenced struct {
	// By has one element for each reference: Resource is what cannot be deleted, Message names who refers to it.
	By []Violation
}

// Error names the first and counts the rest.
func (e *Referenced) Error() string { return (&Violations{List: e.By}).Error() }

// Conflict says that what a change set writes or refers to changed since the change set began. Nothing was changed or lost.
type Conflict struct {
	// ChangeSet is its id.
	ChangeSet string
	// Resources are those that changed: "routes/orders".
	Resources []string
}

// Error names the resources.
func (e *Conflict) Error() string {
	return "changed since the change set was opened: " + strings.Join(e.Resources, ", ")
}

// Precondition says that If-Match did not name the present version. Nothing was changed.
type Precondition struct {
	Resource string
	// ETag is the present version; empty if there is none.
	ETag string
}

// Error says what is there instead.
func (e *Precondition) Error() string {
	if e.ETag == "" {
		return e.Resource + " does not exist"
	}
	return fmt.Sprintf("%s changed meanwhile; it is %s now", e.Resource, e.ETag)
}

// Closed says that a change set cannot be changed any more.
type Closed struct {
	ID string
	// State is "published" or "abandoned".
	State string
}

// Error says what became of it.
func (e *Closed) Error() string { return fmt.Sprintf("change set %s is %s", e.ID, e.State) }

// Rules that this package checks itself, beside those of the schema.
const (
	ruleName             = "name"
	ruleLabels           = "labels"
	ruleKind             = "kind"
	ruleDuplicate        = "duplicate"
	ruleSpec             = "spec"
	ruleURL              = "service.url"
	ruleDuration         = "string.duration"
	rulePEM              = "pem"
	ruleKeyPair          = "certificate.key"
	ruleExpired          = "expired"
	ruleACME             = "certificate.acme"
	ruleOneOf            = "message.oneof"
	ruleRequired         = "required"
	ruleReferenceMissing = "reference.missing"
	ruleReferenceInUse   = "reference.in_use"
	ruleConflict         = "conflict"
	ruleTie              = "route.tie"
	ruleCapability       = "capability"
	ruleFilter           = "filter"
	rulePageToken        = "page_token"
	ruleFieldMask        = "update_mask"
	ruleStrategy         = "strategy"
)

// refused is the typed error for violations; nil if there are none.
func refused(list []Violation) error {
	if len(list) == 0 {
		return nil
	}
	for _, violation := range list {
		if violation.Rule != ruleReferenceInUse {
			return &Violations{List: list[:min(len(list), maxViolations)]}
		}
	}
	return &Referenced{By: list[:min(len(list), maxViolations)]}
}

// refusedField is the error about one field of a request.
func refusedField(field, rule, message string) error {
	return &Violations{List: []Violation{{Field: field, Rule: rule, Message: message}}}
}

// named tells which resource an error of the store is about.
func named(key revision.Key, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", key, err)
}

// specViolations are violations of a spec's fields as those of a resource.
func specViolations(key revision.Key, fields []configv1.FieldViolation) []Violation {
	violations := make([]Violation, len(fields))
	for i, field := range fields {
		path := "spec"
		if field.Field != "" {
			path += "." + field.Field
		}
		violations[i] = Violation{Resource: key.String(), Field: path, Rule: field.Rule, Message: field.Message}
	}
	return violations
}
