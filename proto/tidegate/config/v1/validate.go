package configv1

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"
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

func validateSettings(p *Plugin) ([]FieldViolation, error) {
	t, ok := LookupPluginType(p.GetType())
	if !ok {
		return []FieldViolation{{
			Field: "type", Rule: "plugin.type",
			Message: fmt.Sprintf("no plugin type %q; there are %s", p.GetType(), strings.Join(typeNames(), ", ")),
		}}, nil
	}
	violations := unknownFields(p.GetConfig(), t.message.Descriptor(), "config.")
	settings, err := p.settings(protojson.UnmarshalOptions{DiscardUnknown: true})
	if err != nil {
		return append(violations, settingsViolation(err)), nil
	}
	broken, err := validateRules(settings)
	for _, v := range broken {
		v.Field = strings.TrimSuffix("config."+v.Field, ".")
		violations = append(violations, v)
	}
	return violations, err
}

// unknownFields names all members of an object that the message it is read into does not know, at any depth.
func unknownFields(object *structpb.Struct, message protoreflect.MessageDescriptor, path string) []FieldViolation {
	var out []FieldViolation
	for _, name := range slices.Sorted(maps.Keys(object.GetFields())) {
		field := message.Fields().ByTextName(name)
		if field == nil {
			field = message.Fields().ByJSONName(name)
		}
		if field == nil {
			out = append(out, FieldViolation{Field: path + name, Rule: "plugin.unknown_field", Message: "unknown field"})
			continue
		}
		if field.Message() == nil || field.IsMap() {
			continue
		}
		value := object.GetFields()[name]
		out = append(out, unknownFields(value.GetStructValue(), field.Message(), path+name+".")...)
		for i, element := range value.GetListValue().GetValues() {
			out = append(out, unknownFields(element.GetStructValue(), field.Message(), fmt.Sprintf("%s%s[%d].", path, name, i))...)
		}
	}
	return out
}

func settingsViolation(err error) FieldViolation {
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
