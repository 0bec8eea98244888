package config

import (
	"fmt"
	"maps"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// mergeFields carries fields of a resource into what is present (google.aip.dev/134). A mask path names a field of the
// resource: "labels", "labels.team", "spec", "spec.match.paths"; "*" names all. A named field that the resource lacks is
// cleared. Lists, maps and free-form objects are replaced whole. Without a mask every field is carried over that the resource
// holds.
func mergeFields(p present, resource Resource, mask []string) (Resource, error) {
	merged := Resource{Kind: resource.Kind, Name: resource.Name, Labels: maps.Clone(p.labels), Spec: proto.Clone(p.spec)}
	if len(mask) == 0 {
		if resource.Labels != nil {
			merged.Labels = resource.Labels
		}
		mergeHeld(merged.Spec.ProtoReflect(), resource.Spec.ProtoReflect())
		return merged, nil
	}
	for _, path := range mask {
		if err := mergePath(&merged, resource, path); err != nil {
			return Resource{}, err
		}
	}
	return merged, nil
}

func mergePath(merged *Resource, resource Resource, path string) error {
	switch head, rest, nested := strings.Cut(path, "."); {
	case path == "*":
		merged.Labels, merged.Spec = resource.Labels, proto.Clone(resource.Spec)
	case path == "labels":
		merged.Labels = resource.Labels
	case path == "spec":
		merged.Spec = proto.Clone(resource.Spec)
	case head == "labels" && nested:
		if merged.Labels == nil {
			merged.Labels = map[string]string{}
		}
		if value, ok := resource.Labels[rest]; ok {
			merged.Labels[rest] = value
		} else {
			delete(merged.Labels, rest)
		}
	case head == "spec" && nested:
		if !mergeField(merged.Spec.ProtoReflect(), resource.Spec.ProtoReflect(), rest) {
			return refusedField("update_mask", ruleFieldMask, fmt.Sprintf("no field %q in %s", path, resource.Kind.Collection()))
		}
	default:
		return refusedField("update_mask", ruleFieldMask, fmt.Sprintf(`cannot change %q; begin with "spec." or "labels"`, path))
	}
	return nil
}

// mergeField carries one field over, or clears it; false if there is no such field.
func mergeField(to, from protoreflect.Message, path string) bool {
	name, rest, nested := strings.Cut(path, ".")
	field := to.Descriptor().Fields().ByName(protoreflect.Name(name))
	if field == nil {
		return false
	}
	if !nested {
		if from.Has(field) {
			to.Set(field, from.Get(field))
		} else {
			to.Clear(field)
		}
		return true
	}
	if !isPlainMessage(field) {
		return false
	}
	return mergeField(to.Mutable(field).Message(), from.Get(field).Message(), rest)
}

// mergeHeld carries over every field that from holds.
func mergeHeld(to, from protoreflect.Message) {
	from.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		if isPlainMessage(field) {
			mergeHeld(to.Mutable(field).Message(), value.Message())
		} else {
			to.Set(field, value)
		}
		return true
	})
}

// isPlainMessage is true of a message of our schema, whose fields have names; a Struct is replaced whole.
func isPlainMessage(field protoreflect.FieldDescriptor) bool {
	return field.Message() != nil && !field.IsList() && !field.IsMap() &&
		!strings.HasPrefix(string(field.Message().FullName()), "google.protobuf.")
}
