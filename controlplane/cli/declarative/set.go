package declarative

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"

	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// Set is what some files hold together.
type Set struct {
	// Fleet is the one that the files name; empty when none does.
	Fleet     string
	Resources []Resource
	// Kinds are those that the files mention, also with an empty list, in the order of files.
	Kinds []configv1.Kind

	fleetAt Position
	index   map[string]int // of Resources, by "routes/orders"
}

// Resource is one resource, and where it stands.
type Resource struct {
	Kind  configv1.Kind
	Value *adminv1.Resource

	file string
	node *yaml.Node
}

// Reference names it: "routes/orders".
func (r Resource) Reference() string { return Reference(r.Kind, r.Value.GetName()) }

// Reference names a resource the way the API does: "routes/orders".
func Reference(kind configv1.Kind, name string) string { return kind.Collection() + "/" + name }

// Messages are the resources as the API takes them.
func (s *Set) Messages() []*adminv1.Resource {
	messages := make([]*adminv1.Resource, len(s.Resources))
	for i, r := range s.Resources {
		messages[i] = r.Value
	}
	return messages
}

// Find returns the resource of a reference such as "routes/orders".
func (s *Set) Find(reference string) (Resource, bool) {
	i, ok := s.index[reference]
	if !ok {
		return Resource{}, false
	}
	return s.Resources[i], true
}

// add takes a resource in, and says so when its name is taken.
func (s *Set) add(r Resource) *Problem {
	if s.index == nil {
		s.index = make(map[string]int)
	}
	if earlier, ok := s.Find(r.Reference()); ok {
		return &Problem{
			Position: r.At("name"), Resource: r.Reference(), Field: "name",
			Message: fmt.Sprintf("the name is used twice; the first is at %s", earlier.At("name")),
		}
	}
	s.index[r.Reference()] = len(s.Resources)
	s.Resources = append(s.Resources, r)
	return nil
}

// mention notes that a file speaks about a kind.
func (s *Set) mention(kind configv1.Kind) {
	if !slices.Contains(s.Kinds, kind) {
		s.Kinds = append(s.Kinds, kind)
		slices.Sort(s.Kinds)
	}
}

// nameFleet notes the fleet that a document names; all must agree.
func (s *Set) nameFleet(name string, at Position) *Problem {
	if s.Fleet != "" && s.Fleet != name {
		return &Problem{Position: at, Field: "fleet", Message: fmt.Sprintf(
			"fleet %q, but %s says %q: files that are applied together belong to one fleet", name, s.fleetAt, s.Fleet)}
	}
	if s.Fleet == "" {
		s.Fleet, s.fleetAt = name, at
	}
	return nil
}

// Spec is what a resource says, whatever its kind; nil if it says nothing.
func Spec(r *adminv1.Resource) proto.Message {
	message := r.ProtoReflect()
	field := message.WhichOneof(message.Descriptor().Oneofs().ByName("spec"))
	if field == nil {
		return nil
	}
	return message.Get(field).Message().Interface()
}

// KindOf is the kind of a resource; KIND_UNSPECIFIED if it has no spec.
func KindOf(r *adminv1.Resource) configv1.Kind {
	spec := Spec(r)
	for _, kind := range configv1.FileKinds() {
		if spec != nil && configv1.NewSpec(kind).ProtoReflect().Descriptor() == spec.ProtoReflect().Descriptor() {
			return kind
		}
	}
	return configv1.Kind_KIND_UNSPECIFIED
}

// NewResource wraps a spec.
func NewResource(name string, labels map[string]string, spec proto.Message) *adminv1.Resource {
	r := &adminv1.Resource{Name: name, Labels: labels}
	message := r.ProtoReflect()
	fields := message.Descriptor().Oneofs().ByName("spec").Fields()
	for i := range fields.Len() {
		if fields.Get(i).Message() == spec.ProtoReflect().Descriptor() {
			message.Set(fields.Get(i), message.NewField(fields.Get(i)))
			proto.Merge(message.Get(fields.Get(i)).Message().Interface(), spec)
		}
	}
	return r
}
