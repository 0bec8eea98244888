package config

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"time"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"tidegate.dev/controlplane/store"
	"tidegate.dev/proto/revision"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// resourceName is the rule resource_name of the schema, for names that stand outside of messages.
var resourceName = regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]{0,126}[a-z0-9])?$`)

// Bounds of labels, as in the schema of the admin API.
const (
	maxLabels     = 64
	maxLabelKey   = 128
	maxLabelValue = 256
)

func checkName(resource, name string) []Violation {
	if resourceName.MatchString(name) {
		return nil
	}
	return []Violation{{
		Resource: resource, Field: "name", Rule: ruleName,
		Message: "must be 1 to 128 of a-z, 0-9, '.', '_' and '-', and begin and end with a letter or digit",
	}}
}

func checkLabels(resource string, labels map[string]string) []Violation {
	var violations []Violation
	add := func(field, message string) {
		violations = append(violations, Violation{Resource: resource, Field: field, Rule: ruleLabels, Message: message})
	}
	if len(labels) > maxLabels {
		add("labels", fmt.Sprintf("at most %d labels", maxLabels))
	}
	for key, value := range labels {
		if key == "" || len(key) > maxLabelKey || slices.Contains([]byte(key), 0) {
			add("labels", fmt.Sprintf("a label's key must have 1 to %d bytes, none of them NUL", maxLabelKey))
		}
		if len(value) > maxLabelValue || slices.Contains([]byte(value), 0) {
			add(fmt.Sprintf("labels[%q]", key), fmt.Sprintf("a label's value must have at most %d bytes, none of them NUL", maxLabelValue))
		}
	}
	return violations
}

// checkResource says everything that is wrong with a resource by itself.
func checkResource(key revision.Key, labels map[string]string, spec proto.Message, now time.Time) ([]Violation, error) {
	violations := append(checkName(key.String(), key.Name), checkLabels(key.String(), labels)...)
	fields, err := configv1.Validate(spec)
	if err != nil {
		return nil, fmt.Errorf("validating %s: %w", key, err)
	}
	switch s := spec.(type) {
	case *configv1.Service:
		fields = append(fields, checkService(s)...)
	case *configv1.Route:
		rule, wrong := store.RouteRule(key.Name, s)
		fields = append(fields, withoutRepetition(fields, wrong)...)
		fields = append(fields, withoutRepetition(fields, checkTemplates(s, rule))...)
	case *configv1.Certificate:
		fields = slices.Concat(nameSource(s, fields), checkCertificate(s, now), checkClientAuth(s), checkStaple(s, now))
	case *configv1.Secret:
		if s.GetValue() == "" {
			fields = append(fields, configv1.FieldViolation{Field: "value", Rule: ruleRequired, Message: "value is required"})
		}
	case *configv1.Block:
		fields = append(fields, withoutRepetition(fields, checkBlock(s, now))...)
	case *configv1.Plugin:
		fields = append(fields, checkPlugin(s)...)
		if settings, err := s.Settings(); err == nil {
			fields = append(fields, withoutRepetition(fields, checkDurations("config.", settings))...)
		}
	}
	fields = append(fields, withoutRepetition(fields, checkDurations("", spec))...)
	return append(violations, specViolations(key, fields)...), nil
}

// withoutRepetition leaves out those of more that are about a field which is at fault already.
func withoutRepetition(known, more []configv1.FieldViolation) []configv1.FieldViolation {
	return slices.DeleteFunc(more, func(v configv1.FieldViolation) bool {
		return slices.ContainsFunc(known, func(k configv1.FieldViolation) bool { return k.Field == v.Field })
	})
}

func checkService(service *configv1.Service) []configv1.FieldViolation {
	var violations []configv1.FieldViolation
	check := func(field, text string) {
		if problem := problemOfURL(text); problem != "" {
			violations = append(violations, configv1.FieldViolation{Field: field, Rule: ruleURL, Message: problem})
		}
	}
	check("url", service.GetUrl())
	for i, target := range service.GetTargets() {
		check(fmt.Sprintf("targets[%d].url", i), target.GetUrl())
	}
	if pem := service.GetTls().GetCaPem(); pem != "" {
		if _, err := parseChain(pem); err != nil {
			violations = append(violations, configv1.FieldViolation{Field: "tls.ca_pem", Rule: rulePEM, Message: err.Error()})
		}
	}
	return violations
}

// problemOfURL finds what the schema's pattern lets through.
func problemOfURL(text string) string {
	if text == "" {
		return ""
	}
	parsed, err := url.Parse(text)
	if err != nil || parsed.Hostname() == "" {
		return "must be a URL with a host"
	}
	if port := parsed.Port(); port != "" {
		if number, err := strconv.ParseUint(port, 10, 16); err != nil || number == 0 {
			return "its port must be between 1 and 65535"
		}
	}
	return ""
}

// checkDurations checks every field that the schema marks as a duration: it must be one that fits, and more than nothing.
func checkDurations(prefix string, message proto.Message) []configv1.FieldViolation {
	var violations []configv1.FieldViolation
	walkStrings(prefix, message.ProtoReflect(), func(path string, field protoreflect.FieldDescriptor, value string) {
		if value == "" || !isDuration(field) {
			return
		}
		if d, err := time.ParseDuration(value); err != nil || d <= 0 {
			violations = append(violations, configv1.FieldViolation{
				Field: path, Rule: ruleDuration, Message: "must be a duration of more than nothing, such as 250ms, 10s or 1h",
			})
		}
	})
	return violations
}

func isDuration(field protoreflect.FieldDescriptor) bool {
	rules, ok := proto.GetExtension(field.Options(), validate.E_Field).(*validate.FieldRules)
	if !ok || rules.GetString() == nil {
		return false
	}
	marked, _ := proto.GetExtension(rules.GetString(), configv1.E_Duration).(bool)
	return marked
}

// walkStrings visits the singular string fields of a message and of the messages in it.
func walkStrings(prefix string, message protoreflect.Message, visit func(path string, field protoreflect.FieldDescriptor, value string)) {
	message.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		path := prefix + string(field.Name())
		switch {
		case field.IsMap():
		case field.IsList() && field.Message() != nil:
			for i := range value.List().Len() {
				walkStrings(fmt.Sprintf("%s[%d].", path, i), value.List().Get(i).Message(), visit)
			}
		case field.IsList():
		case field.Message() != nil:
			walkStrings(path+".", value.Message(), visit)
		case field.Kind() == protoreflect.StringKind:
			visit(path, field, value.String())
		}
		return true
	})
}
