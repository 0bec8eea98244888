package declarative

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"

	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// Write writes resources as a file that Parse reads back: kinds in a fixed order, resources by name, fields in the order of
// the schema, only those that are set. An empty fleet is left out.
func Write(w io.Writer, fleet string, resources []*adminv1.Resource) error {
	root := mapping()
	if fleet != "" {
		put(root, "fleet", text(fleet))
	}
	for _, kind := range configv1.FileKinds() {
		list := &yaml.Node{Kind: yaml.SequenceNode}
		for _, r := range ofKind(resources, kind) {
			node, err := resourceNode(r)
			if err != nil {
				return fmt.Errorf("writing %s: %w", Reference(kind, r.GetName()), err)
			}
			list.Content = append(list.Content, node)
		}
		if len(list.Content) > 0 {
			put(root, kind.Collection(), list)
		}
	}
	encoder := yaml.NewEncoder(w)
	encoder.SetIndent(2)
	if err := encoder.Encode(root); err != nil {
		return fmt.Errorf("writing YAML: %w", err)
	}
	return encoder.Close()
}

func ofKind(resources []*adminv1.Resource, kind configv1.Kind) []*adminv1.Resource {
	var found []*adminv1.Resource
	for _, r := range resources {
		if KindOf(r) == kind {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b *adminv1.Resource) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return found
}

func resourceNode(r *adminv1.Resource) (*yaml.Node, error) {
	node := mapping()
	put(node, "name", text(r.GetName()))
	if len(r.GetLabels()) > 0 {
		labels := mapping()
		for _, key := range slices.Sorted(maps.Keys(r.GetLabels())) {
			put(labels, key, text(r.GetLabels()[key]))
		}
		put(node, "labels", labels)
	}
	return node, putFields(node, Spec(r).ProtoReflect())
}

func putFields(node *yaml.Node, message protoreflect.Message) error {
	fields := message.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if !message.Has(field) {
			continue
		}
		value, err := fieldNode(field, message.Get(field))
		if err != nil {
			return err
		}
		put(node, string(field.Name()), value)
	}
	return nil
}

func fieldNode(field protoreflect.FieldDescriptor, value protoreflect.Value) (*yaml.Node, error) {
	if !field.IsList() {
		return valueNode(field, value)
	}
	list := &yaml.Node{Kind: yaml.SequenceNode}
	if field.Kind() != protoreflect.MessageKind {
		list.Style = yaml.FlowStyle
	}
	for i := range value.List().Len() {
		element, err := valueNode(field, value.List().Get(i))
		if err != nil {
			return nil, err
		}
		if field.Kind() == protoreflect.StringKind && !plainWord.MatchString(element.Value) {
			element.Style = yaml.DoubleQuotedStyle // as people write paths
		}
		list.Content = append(list.Content, element)
	}
	return list, nil
}

// plainWord is what looks well in a list without quotes.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

func valueNode(field protoreflect.FieldDescriptor, value protoreflect.Value) (*yaml.Node, error) {
	switch field.Kind() {
	case protoreflect.StringKind:
		return text(value.String()), nil
	case protoreflect.BoolKind:
		return scalar("!!bool", strconv.FormatBool(value.Bool())), nil
	case protoreflect.Int32Kind, protoreflect.Int64Kind:
		return scalar("!!int", strconv.FormatInt(value.Int(), 10)), nil
	case protoreflect.Uint32Kind, protoreflect.Uint64Kind:
		return scalar("!!int", strconv.FormatUint(value.Uint(), 10)), nil
	case protoreflect.DoubleKind:
		return number(value.Float()), nil
	case protoreflect.MessageKind:
		if free, ok := value.Message().Interface().(*structpb.Struct); ok {
			return freeNode(structpb.NewStructValue(free)), nil
		}
		node := mapping()
		return node, putFields(node, value.Message())
	default:
		return nil, fmt.Errorf("this version of tidegate cannot write a field of type %s", field.Kind())
	}
}

// freeNode writes a value of a plugin's config, with keys by name.
func freeNode(value *structpb.Value) *yaml.Node {
	switch v := value.GetKind().(type) {
	case *structpb.Value_StructValue:
		node := mapping()
		for _, key := range slices.Sorted(maps.Keys(v.StructValue.GetFields())) {
			put(node, key, freeNode(v.StructValue.GetFields()[key]))
		}
		return node
	case *structpb.Value_ListValue:
		node := &yaml.Node{Kind: yaml.SequenceNode}
		for _, element := range v.ListValue.GetValues() {
			node.Content = append(node.Content, freeNode(element))
		}
		return node
	case *structpb.Value_BoolValue:
		return scalar("!!bool", strconv.FormatBool(v.BoolValue))
	case *structpb.Value_NumberValue:
		return number(v.NumberValue)
	case *structpb.Value_StringValue:
		return text(v.StringValue)
	default:
		return scalar("!!null", "null")
	}
}

func mapping() *yaml.Node { return &yaml.Node{Kind: yaml.MappingNode} }

func put(node *yaml.Node, key string, value *yaml.Node) {
	node.Content = append(node.Content, text(key), value)
}

// text is a string, quoted where it would else be read as something different.
func text(value string) *yaml.Node {
	node := &yaml.Node{}
	node.SetString(value)
	if node.Tag == "!!binary" { // the library's way out for what is not UTF-8, which the schema does not allow
		return scalar("!!str", strconv.QuoteToASCII(value))
	}
	if value == "<<" {
		node.Style = yaml.DoubleQuotedStyle // else it is a merge key
	}
	return node
}

func scalar(tag, value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value}
}

// exact is the largest integer up to which a JSON number keeps every one (RFC 8259, section 6).
const exact = 1 << 53

func number(value float64) *yaml.Node {
	if value == math.Trunc(value) && math.Abs(value) <= exact {
		return scalar("!!int", strconv.FormatInt(int64(value), 10))
	}
	return scalar("!!float", strconv.FormatFloat(value, 'g', -1, 64))
}
