package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// hidden stands for a private value in a difference.
const hidden = `"(hidden)"`

// fieldChanges compares two sides field by field, as JSON.
func fieldChanges(before, after *side) ([]FieldChange, error) {
	var changes []FieldChange
	for _, key := range unionOfKeys(before.labels, after.labels) {
		was, had := before.labels[key]
		is, has := after.labels[key]
		if had != has || was != is {
			changes = append(changes, FieldChange{Path: "labels." + key, Before: jsonOf(was, had), After: jsonOf(is, has)})
		}
	}
	was, err := plainOf(before.spec)
	if err != nil {
		return nil, err
	}
	is, err := plainOf(after.spec)
	if err != nil {
		return nil, err
	}
	changes = appendChanges(changes, "spec", was, is)
	return append(changes, privateChanges(before.spec, after.spec)...), nil
}

// plainOf is the public part of a spec as maps, slices and values.
func plainOf(spec proto.Message) (any, error) {
	encoded, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(redacted(spec))
	if err != nil {
		return nil, fmt.Errorf("encoding a spec as JSON: %w", err)
	}
	var plain any
	if err := json.Unmarshal(encoded, &plain); err != nil {
		return nil, fmt.Errorf("reading a spec's JSON: %w", err)
	}
	return plain, nil
}

func appendChanges(changes []FieldChange, path string, before, after any) []FieldChange {
	switch was := before.(type) {
	case map[string]any:
		if is, ok := after.(map[string]any); ok {
			for _, key := range unionOfKeys(was, is) {
				changes = appendChanges(changes, path+"."+key, was[key], is[key])
			}
			return changes
		}
	case []any:
		if is, ok := after.([]any); ok {
			for i := range max(len(was), len(is)) {
				changes = appendChanges(changes, fmt.Sprintf("%s[%d]", path, i), at(was, i), at(is, i))
			}
			return changes
		}
	}
	was, is := jsonOf(before, before != nil), jsonOf(after, after != nil)
	if was == is {
		return changes
	}
	return append(changes, FieldChange{Path: path, Before: was, After: is})
}

func at(list []any, i int) any {
	if i < len(list) {
		return list[i]
	}
	return nil
}

// jsonOf never fails: the values come from JSON.
func jsonOf(value any, set bool) string {
	if !set {
		return ""
	}
	encoded, _ := json.Marshal(value)
	return string(encoded)
}

func unionOfKeys[V any](one, other map[string]V) []string {
	union := map[string]bool{}
	for key := range one {
		union[key] = true
	}
	for key := range other {
		union[key] = true
	}
	return slices.Sorted(maps.Keys(union))
}

// privateChanges says that a private value changed, and no more.
func privateChanges(before, after proto.Message) []FieldChange {
	path, was, is := "", "", ""
	switch b := before.(type) {
	case *configv1.Certificate:
		if a, ok := after.(*configv1.Certificate); ok {
			path, was, is = "spec.private_key_pem", b.GetPrivateKeyPem(), a.GetPrivateKeyPem()
		}
	case *configv1.Secret:
		if a, ok := after.(*configv1.Secret); ok {
			path, was, is = "spec.value", b.GetValue(), a.GetValue()
		}
	}
	if was == is {
		return nil
	}
	return []FieldChange{{Path: path, Before: hidden, After: hidden}}
}
