package configv1

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
)

// FieldViolation is one field that breaks one rule.
type FieldViolation struct {
	// Field is the path in the spec, in the names of the schema: "match.paths[0]". Empty: the whole.
	Field string
	// Rule is the rule's stable name: "string.duration".
	Rule    string
	Message string
}

// validator compiles the rules of a message at its first use and keeps them.
var validator = sync.OnceValues(func() (protovalidate.Validator, error) { return protovalidate.New() })

// Validate checks a message against the rules that stand beside its fields in the schema, and of a Plugin its config
// against the rules of its type. It returns all violations, in the order of the fields. An error means that the rules
// themselves could not be evaluated.
func Validate(message proto.Message) ([]FieldViolation, error) {
	violations, err := validateRules(message)
	if err != nil {
		return nil, err
	}
	if p, ok := message.(*Plugin); ok && p.GetType() != "" {
		more, err := validateSettings(p)
		if err != nil {
			return nil, err
		}
		violations = append(violations, more...)
	}
	return violations, nil
}

func validateRules(message proto.Message) ([]FieldViolation, error) {
	v, err := validator()
	if err != nil {
		return nil, fmt.Errorf("preparing the rules of the schema: %w", err)
	}
	err = v.Validate(message)
	var invalid *protovalidate.ValidationError
	switch {
	case err == nil:
		return nil, nil
	case !errors.As(err, &invalid):
		return nil, fmt.Errorf("checking a %s: %w", message.ProtoReflect().Descriptor().Name(), err)
	}
	out := make([]FieldViolation, 0, len(invalid.Violations))
	for _, violation := range invalid.Violations {
		out = append(out, FieldViolation{
			Field:   protovalidate.FieldPathString(violation.Proto.GetField()),
			Rule:    violation.Proto.GetRuleId(),
			Message: violation.Proto.GetMessage(),
		})
	}
	return out, nil
}

// unknownField finds the name in protojson's error, the only place where it stands.
var unknownField = regexp.MustCompile(`unknown field "([^"]+)"`)

func validateSettings(p *Plugin) ([]FieldViolation, error) {
	settings, err := p.Settings()
	switch {
	case errors.Is(err, ErrUnknownPluginType):
		return []FieldViolation{{
			Field: "type", Rule: "plugin.type",
			Message: fmt.Sprintf("no plugin type %q; there are %s", p.GetType(), strings.Join(typeNames(), ", ")),
		}}, nil
	case err != nil:
		return []FieldViolation{settingsViolation(err)}, nil
	}
	violations, err := validateRules(settings)
	for i := range violations {
		violations[i].Field = strings.TrimSuffix("config."+violations[i].Field, ".")
	}
	return violations, err
}

func settingsViolation(err error) FieldViolation {
	if m := unknownField.FindStringSubmatch(err.Error()); m != nil {
		return FieldViolation{Field: "config." + m[1], Rule: "plugin.unknown_field", Message: "unknown field"}
	}
	// protojson says "(line 1:2): invalid value …"; the position is in our own encoding and helps nobody.
	message := err.Error()
	if i := strings.LastIndex(message, "): "); i >= 0 {
		message = message[i+3:]
	}
	return FieldViolation{Field: "config", Rule: "plugin.config", Message: message}
}

func typeNames() []string {
	var names []string
	for _, t := range PluginTypes() {
		names = append(names, t.GetName())
	}
	return names
}
