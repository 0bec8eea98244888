package declarative

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"
)

// maxDepth bounds how deep the free part of a file (a plugin's config) may nest.
const maxDepth = 64

// field reads a node into a field of a message.
func (p *parser) field(message protoreflect.Message, field protoreflect.FieldDescriptor, node *yaml.Node) {
	if isNull(node) {
		p.failAt(node, "has no value; give it one or leave the field out")
		return
	}
	switch {
	case field.IsMap():
		p.textMap(message, field, node)
	case field.IsList():
		if !p.is(node, yaml.SequenceNode, "must be a list") {
			return
		}
		list := message.Mutable(field).List()
		for i, element := range node.Content {
			p.within(index(i), func() {
				if value, ok := p.value(list.NewElement(), field, p.follow(element)); ok {
					list.Append(value)
				}
			})
		}
	default:
		if value, ok := p.value(message.NewField(field), field, node); ok {
			message.Set(field, value)
		}
	}
}

// value reads one value; empty is a new one of the field's type, which messages are read into.
func (p *parser) value(empty protoreflect.Value, field protoreflect.FieldDescriptor, node *yaml.Node) (protoreflect.Value, bool) {
	if p.exhausted(node) {
		return empty, false
	}
	if field.Kind() != protoreflect.MessageKind {
		return p.scalar(field.Kind(), node)
	}
	if free, ok := empty.Message().Interface().(*structpb.Struct); ok {
		p.free(free, node)
		return empty, true
	}
	if !p.is(node, yaml.MappingNode, "must be a mapping") {
		return empty, false
	}
	p.message(empty.Message(), node)
	return empty, true
}

func (p *parser) message(message protoreflect.Message, node *yaml.Node) {
	descriptor := message.Descriptor()
	p.eachField(node, func(key string, keyNode, value *yaml.Node) {
		field := descriptor.Fields().ByName(protoreflect.Name(key))
		if field == nil {
			p.unknown(keyNode, fieldNames(descriptor))
			return
		}
		p.field(message, field, value)
	})
}

// textMap reads a map of strings to strings, such as labels.
func (p *parser) textMap(message protoreflect.Message, field protoreflect.FieldDescriptor, node *yaml.Node) {
	if !p.is(node, yaml.MappingNode, "must be a mapping") {
		return
	}
	entries := message.Mutable(field).Map()
	p.eachField(node, func(key string, _, value *yaml.Node) {
		if text, ok := p.text(value); ok {
			entries.Set(protoreflect.ValueOfString(key).MapKey(), protoreflect.ValueOfString(text))
		}
	})
}

// free reads a mapping whose fields the schema leaves to others: a plugin's config. Which fields its type knows is checked
// with the rules (Set.Check).
func (p *parser) free(into *structpb.Struct, node *yaml.Node) {
	if !p.is(node, yaml.MappingNode, "must be a mapping") {
		return
	}
	into.Fields = make(map[string]*structpb.Value)
	p.eachField(node, func(key string, _, value *yaml.Node) {
		if read := p.freeValue(value, 1); read != nil {
			into.Fields[key] = read
		}
	})
}

func (p *parser) freeValue(node *yaml.Node, depth int) *structpb.Value {
	if p.exhausted(node) {
		return nil
	}
	if depth > maxDepth {
		p.failAt(node, fmt.Sprintf("nests deeper than %d", maxDepth))
		return nil
	}
	switch node.Kind {
	case yaml.MappingNode:
		object := &structpb.Struct{Fields: make(map[string]*structpb.Value)}
		p.eachField(node, func(key string, _, value *yaml.Node) {
			if read := p.freeValue(value, depth+1); read != nil {
				object.Fields[key] = read
			}
		})
		return structpb.NewStructValue(object)
	case yaml.SequenceNode:
		list := &structpb.ListValue{}
		for i, element := range node.Content {
			p.within(index(i), func() {
				if read := p.freeValue(p.follow(element), depth+1); read != nil {
					list.Values = append(list.Values, read)
				}
			})
		}
		return structpb.NewListValue(list)
	default:
		return p.freeScalar(node)
	}
}

func (p *parser) freeScalar(node *yaml.Node) *structpb.Value {
	switch tag := node.ShortTag(); {
	case tag == "!!null":
		p.failAt(node, "has no value; give it one or leave the field out")
		return nil
	case tag == "!!bool":
		value, ok := p.scalar(protoreflect.BoolKind, node)
		if !ok {
			return nil
		}
		return structpb.NewBoolValue(value.Bool())
	case tag == "!!int" || tag == "!!float":
		value, ok := p.scalar(protoreflect.DoubleKind, node)
		if !ok {
			return nil
		}
		var whole int64
		if tag == "!!int" && (node.Decode(&whole) != nil || int64(value.Float()) != whole) {
			p.failAt(node, "the number is too large to be kept exactly")
			return nil
		}
		return structpb.NewNumberValue(value.Float())
	case slices.Contains([]string{"!!str", "!!timestamp"}, tag):
		return structpb.NewStringValue(node.Value)
	default:
		p.failAt(node, "cannot be "+describe(node))
		return nil
	}
}
