package declarative

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"

	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

const (
	// maxProblems bounds what is reported of one file.
	maxProblems = 100
	// nodesPerByte bounds how many values a file may expand to, for its size: without aliases there is less than one a byte,
	// and a small file of aliases that stand for aliases must not cost more than a large one without.
	nodesPerByte = 4
)

// parser reads one file into a set.
type parser struct {
	file     string
	set      *Set
	problems Problems
	said     map[Problem]bool // by place and message

	resource string // being read: "routes/orders"
	path     []string
	left     int // how many more nodes may be visited
}

func (s *Set) parse(file string, content []byte) Problems {
	p := &parser{file: file, set: s, left: nodesPerByte*len(content) + 1000}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	for {
		var document yaml.Node
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return p.problems
		}
		if err != nil {
			return append(p.problems, p.syntax(err))
		}
		p.document(&document)
	}
}

// yamlLine is how the YAML library says where.
var yamlLine = regexp.MustCompile(`^yaml: line (\d+): (.*)$`)

func (p *parser) syntax(err error) Problem {
	problem := Problem{Position: Position{File: p.file}, Message: strings.TrimPrefix(err.Error(), "yaml: ")}
	if match := yamlLine.FindStringSubmatch(err.Error()); match != nil {
		problem.Line, _ = strconv.Atoi(match[1]) // digits; 0 if there are too many
		problem.Message = match[2]
	}
	problem.Message = "this is not YAML: " + problem.Message
	return problem
}

func (p *parser) document(node *yaml.Node) {
	if node.Kind == yaml.DocumentNode {
		if len(node.Content) == 0 {
			return
		}
		node = node.Content[0]
	}
	if isNull(node) {
		return // only comments
	}
	if !p.is(node, yaml.MappingNode, "a document is a mapping with fleet, services, routes, …") {
		return
	}
	p.eachField(node, func(key string, keyNode, value *yaml.Node) {
		switch kind := configv1.KindOf(key); {
		case key == "fleet":
			p.fleet(value)
		case isFileKind(kind):
			p.collection(kind, value)
		default:
			p.unknown(keyNode, topFields())
		}
	})
}

func (p *parser) fleet(node *yaml.Node) {
	name, ok := p.text(node)
	if !ok {
		return
	}
	if problem := p.set.nameFleet(name, p.at(node)); problem != nil {
		p.problems = append(p.problems, *problem)
	}
}

func (p *parser) collection(kind configv1.Kind, list *yaml.Node) {
	p.set.mention(kind)
	if isNull(list) {
		return // everything in it is commented out
	}
	if !p.is(list, yaml.SequenceNode, "must be a list") {
		return
	}
	outer := p.path
	for i, node := range list.Content {
		p.resource = ""
		p.path = []string{fmt.Sprintf("%s[%d]", kind.Collection(), i)}
		p.one(kind, p.follow(node))
	}
	p.resource, p.path = "", outer
}

func (p *parser) one(kind configv1.Kind, node *yaml.Node) {
	if !p.is(node, yaml.MappingNode, "must be a mapping with name and the fields of a "+singular(kind)) {
		return
	}
	value := &adminv1.Resource{}
	at := node
	if name := lookup(node, "name"); name != nil {
		if at = name; name.Kind == yaml.ScalarNode && name.ShortTag() == "!!str" {
			value.Name = name.Value
		}
	}
	if value.Name != "" {
		p.resource, p.path = Reference(kind, value.GetName()), nil
	}
	spec := configv1.NewSpec(kind).ProtoReflect()
	envelope := value.ProtoReflect().Descriptor().Fields()
	known := append([]string{"name", "labels"}, fieldNames(spec.Descriptor())...)
	p.eachField(node, func(key string, keyNode, child *yaml.Node) {
		switch field := spec.Descriptor().Fields().ByName(protoreflect.Name(key)); {
		case key == "name" || key == "labels":
			p.field(value.ProtoReflect(), envelope.ByName(protoreflect.Name(key)), child)
		case field == nil:
			p.unknown(keyNode, known)
		default:
			p.field(spec, field, child)
		}
	})
	if value.GetName() == "" {
		p.failAt(at, "a "+singular(kind)+" needs a name")
		return
	}
	resource := Resource{Kind: kind, file: p.file, node: node, Value: NewResource(value.GetName(), value.GetLabels(), spec.Interface())}
	if problem := p.set.add(resource); problem != nil {
		p.problems = append(p.problems, *problem)
	}
}

func isFileKind(kind configv1.Kind) bool {
	for _, k := range configv1.FileKinds() {
		if k == kind {
			return true
		}
	}
	return false
}

// topFields are what a document may hold.
func topFields() []string {
	names := []string{"fleet"}
	for _, kind := range configv1.FileKinds() {
		names = append(names, kind.Collection())
	}
	return names
}

// singular is one of a kind: "route".
func singular(kind configv1.Kind) string { return strings.TrimSuffix(kind.Collection(), "s") }

func fieldNames(descriptor protoreflect.MessageDescriptor) []string {
	var names []string
	for i := range descriptor.Fields().Len() {
		names = append(names, string(descriptor.Fields().Get(i).Name()))
	}
	return names
}
