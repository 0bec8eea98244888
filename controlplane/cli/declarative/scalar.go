package declarative

import (
	"fmt"
	"math"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// scalar reads a node as a value of a scalar type of the schema. Nothing is converted silently: 1 is not "1", "yes" is not
// true, 1.5 is no integer.
func (p *parser) scalar(kind protoreflect.Kind, node *yaml.Node) (protoreflect.Value, bool) {
	none := protoreflect.Value{}
	switch kind {
	case protoreflect.StringKind:
		text, ok := p.text(node)
		return protoreflect.ValueOfString(text), ok
	case protoreflect.BoolKind:
		if node.Kind != yaml.ScalarNode || node.ShortTag() != "!!bool" {
			p.failAt(node, "must be true or false, not "+describe(node))
			return none, false
		}
		return protoreflect.ValueOfBool(node.Value[0] == 't' || node.Value[0] == 'T'), true
	case protoreflect.Int32Kind:
		n, ok := p.integer(node, math.MinInt32, math.MaxInt32)
		return protoreflect.ValueOfInt32(int32(n)), ok
	case protoreflect.Int64Kind:
		n, ok := p.integer(node, math.MinInt64, math.MaxInt64)
		return protoreflect.ValueOfInt64(n), ok
	case protoreflect.Uint32Kind:
		n, ok := p.integer(node, 0, math.MaxUint32)
		return protoreflect.ValueOfUint32(uint32(n)), ok
	case protoreflect.Uint64Kind:
		// No setting needs more, and a number that no other program can read helps nobody.
		n, ok := p.integer(node, 0, math.MaxInt64)
		return protoreflect.ValueOfUint64(uint64(n)), ok
	case protoreflect.DoubleKind:
		n, ok := p.number(node)
		return protoreflect.ValueOfFloat64(n), ok
	default:
		p.failAt(node, fmt.Sprintf("this version of tidegate cannot read a field of type %s", kind))
		return none, false
	}
}

func (p *parser) text(node *yaml.Node) (string, bool) {
	// A time looks like one to YAML, and is a string to the schema.
	if tag := node.ShortTag(); node.Kind != yaml.ScalarNode || tag != "!!str" && tag != "!!timestamp" {
		message := "must be a string, not " + describe(node)
		if node.Kind == yaml.ScalarNode && tag != "!!null" {
			message += "; put it in quotes"
		}
		p.failAt(node, message)
		return "", false
	}
	if !utf8.ValidString(node.Value) {
		p.failAt(node, "must be UTF-8")
		return "", false
	}
	return node.Value, true
}

func (p *parser) integer(node *yaml.Node, lowest, highest int64) (int64, bool) {
	if node.Kind != yaml.ScalarNode || node.ShortTag() != "!!int" {
		p.failAt(node, "must be a whole number, not "+describeNumber(node))
		return 0, false
	}
	var n int64
	if err := node.Decode(&n); err != nil || n < lowest || n > highest {
		p.failAt(node, fmt.Sprintf("must be between %d and %d", lowest, highest))
		return 0, false
	}
	return n, true
}

func describeNumber(node *yaml.Node) string {
	if node.Kind == yaml.ScalarNode && node.ShortTag() == "!!float" {
		return "a fraction"
	}
	return describe(node)
}

func (p *parser) number(node *yaml.Node) (float64, bool) {
	if tag := node.ShortTag(); node.Kind != yaml.ScalarNode || tag != "!!int" && tag != "!!float" {
		p.failAt(node, "must be a number, not "+describe(node))
		return 0, false
	}
	var n float64
	if err := node.Decode(&n); err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
		p.failAt(node, "must be a finite number")
		return 0, false
	}
	return n, true
}
