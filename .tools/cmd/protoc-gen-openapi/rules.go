package main

import (
	"slices"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

// addRules copies the validation rules that JSON Schema can say from the fields to the schemas: required members, lists
// of allowed values, lengths, bounds and patterns.
func addRules(d *document, files []*descriptorpb.FileDescriptorProto) {
	admin := make(map[string]bool)
	for _, file := range files {
		for _, message := range file.GetMessageType() {
			if file.GetPackage()+"." == adminPackage {
				admin[message.GetName()] = true
			}
		}
	}
	for _, file := range files {
		prefix := file.GetPackage() + "."
		if prefix != adminPackage && prefix != configPackage {
			continue
		}
		for _, message := range file.GetMessageType() {
			name := message.GetName()
			if prefix == configPackage && admin[name] {
				name += "Spec"
			}
			if schema, ok := d.Components.Schemas[name].(object); ok {
				addMessageRules(schema, message)
			}
		}
	}
}

func addMessageRules(schema object, message *descriptorpb.DescriptorProto) {
	properties, _ := schema["properties"].(object)
	var required []any
	for _, field := range message.GetField() {
		property, ok := properties[field.GetName()].(object)
		rules, hasRules := fieldRules(field)
		if !ok || !hasRules {
			continue
		}
		if rules.GetRequired() {
			required = append(required, field.GetName())
		}
		addFieldRules(property, rules)
	}
	if len(required) > 0 {
		schema["required"] = required
	}
}

func fieldRules(field *descriptorpb.FieldDescriptorProto) (*validate.FieldRules, bool) {
	rules, ok := proto.GetExtension(field.GetOptions(), validate.E_Field).(*validate.FieldRules)
	return rules, ok && rules != nil
}

func addFieldRules(property object, rules *validate.FieldRules) {
	switch {
	case rules.GetString() != nil:
		addStringRules(property, rules.GetString())
	case rules.GetRepeated() != nil:
		addListRules(property, rules.GetRepeated())
	case rules.GetMap() != nil && rules.GetMap().HasMaxPairs():
		property["maxProperties"] = rules.GetMap().GetMaxPairs()
	case rules.GetInt32() != nil:
		addBounds(property, rules.GetInt32().HasGte(), rules.GetInt32().GetGte(), rules.GetInt32().HasLte(), rules.GetInt32().GetLte())
	case rules.GetUint32() != nil:
		addBounds(property, rules.GetUint32().HasGte(), rules.GetUint32().GetGte(), rules.GetUint32().HasLte(), rules.GetUint32().GetLte())
	case rules.GetDouble() != nil:
		addDoubleBounds(property, rules.GetDouble())
	}
}

func addStringRules(property object, rules *validate.StringRules) {
	if allowed := rules.GetIn(); len(allowed) > 0 {
		property["enum"] = slices.Clone(allowed)
	}
	if rules.HasMinLen() {
		property["minLength"] = rules.GetMinLen()
	}
	if rules.HasMaxLen() {
		property["maxLength"] = rules.GetMaxLen()
	}
	// RE2 and ECMA-262 agree on what these patterns use; inline flags they do not share.
	if rules.HasPattern() && !strings.Contains(rules.GetPattern(), "(?") {
		property["pattern"] = rules.GetPattern()
	}
}

func addListRules(property object, rules *validate.RepeatedRules) {
	if rules.HasMinItems() {
		property["minItems"] = rules.GetMinItems()
	}
	if rules.HasMaxItems() {
		property["maxItems"] = rules.GetMaxItems()
	}
	if rules.GetUnique() {
		property["uniqueItems"] = true
	}
	if items, ok := property["items"].(object); ok && rules.GetItems() != nil {
		addFieldRules(items, rules.GetItems())
	}
}

func addBounds[T any](property object, hasLow bool, low T, hasHigh bool, high T) {
	if hasLow {
		property["minimum"] = low
	}
	if hasHigh {
		property["maximum"] = high
	}
}

func addDoubleBounds(property object, rules *validate.DoubleRules) {
	addBounds(property, rules.HasGte(), rules.GetGte(), rules.HasLte(), rules.GetLte())
	if rules.HasGt() {
		property["exclusiveMinimum"] = rules.GetGt()
	}
}
