package declarative

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Helpers around YAML nodes: where they stand, what they are, and complaints about them.

func (p *parser) at(node *yaml.Node) Position {
	return Position{File: p.file, Line: node.Line, Column: node.Column}
}

// failAt notes a problem with the field that is being read.
func (p *parser) failAt(node *yaml.Node, message string) {
	once := Problem{Position: p.at(node), Message: message}
	if len(p.problems) == maxProblems || p.said[once] {
		return // an alias brings the same place again and again
	}
	if p.said == nil {
		p.said = make(map[Problem]bool)
	}
	p.said[once] = true
	if len(p.problems) == maxProblems-1 {
		message += " (there is more; fix these first)"
	}
	p.problems = append(p.problems, Problem{
		Position: p.at(node), Resource: p.resource, Field: joinPath(p.path), Message: message,
	})
}

// joinPath makes "match.paths[0]" of ["match", "paths", "[0]"].
func joinPath(path []string) string {
	var b strings.Builder
	for i, part := range path {
		if i > 0 && !strings.HasPrefix(part, "[") {
			b.WriteByte('.')
		}
		b.WriteString(part)
	}
	return b.String()
}

// within reads something one level deeper.
func (p *parser) within(part string, read func()) {
	p.path = append(p.path, part)
	read()
	p.path = p.path[:len(p.path)-1]
}

// index is a path's part for an element of a list.
func index(i int) string { return "[" + strconv.Itoa(i) + "]" }

// follow is the node that an alias stands for.
func (p *parser) follow(node *yaml.Node) *yaml.Node {
	p.left--
	for node.Kind == yaml.AliasNode && node.Alias != nil {
		node = node.Alias
	}
	return node
}

// exhausted says that it makes no sense to read on: there are too many problems, or the file expands to more values than
// any that is written by hand or by a program.
func (p *parser) exhausted(node *yaml.Node) bool {
	if p.left < 0 && p.left > gaveUp {
		p.left = gaveUp
		p.failAt(node, "the file expands to too many values through its aliases")
	}
	return p.left < 0 || len(p.problems) >= maxProblems
}

// gaveUp marks a parser that has said so.
const gaveUp = math.MinInt / 2

// is checks what a node is, and complains otherwise.
func (p *parser) is(node *yaml.Node, kind yaml.Kind, message string) bool {
	if node.Kind == kind {
		return true
	}
	p.failAt(node, message+", not "+describe(node))
	return false
}

// describe says what a node is, for complaints. Values of scalars are not repeated: they may be secrets.
func describe(node *yaml.Node) string {
	switch node.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch node.ShortTag() {
	case "!!null":
		return "empty"
	case "!!bool":
		return "a boolean"
	case "!!int", "!!float":
		return "a number"
	case "!!str", "!!timestamp", "!!binary":
		return "a string"
	default:
		return "a value with the tag " + node.Tag
	}
}

func isNull(node *yaml.Node) bool {
	return node.Kind == 0 || node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null"
}

// eachField visits the fields of a mapping in their order. A key that is no plain string or stands twice is an error.
func (p *parser) eachField(node *yaml.Node, visit func(key string, keyNode, value *yaml.Node)) {
	seen := make(map[string]*yaml.Node, len(node.Content)/2)
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], p.follow(node.Content[i+1])
		if p.exhausted(key) {
			return
		}
		if key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str" {
			p.failAt(key, "the name of a field must be a string, not "+describeKey(key))
			continue
		}
		p.within(key.Value, func() {
			if first := seen[key.Value]; first != nil {
				p.failAt(key, fmt.Sprintf("the field is given twice; the first is at %s", p.at(first)))
				return
			}
			seen[key.Value] = key
			visit(key.Value, key, value)
		})
	}
}

func describeKey(key *yaml.Node) string {
	if key.Kind == yaml.ScalarNode && key.ShortTag() == "!!merge" {
		return "a merge key (write the fields out)"
	}
	if key.Kind == yaml.AliasNode {
		return "an alias"
	}
	return describe(key)
}

// lookup finds a field of a mapping; nil if it has none of that name.
func lookup(node *yaml.Node, name string) *yaml.Node {
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == name {
			return node.Content[i+1]
		}
	}
	return nil
}

// unknown complains about a field that the schema does not have, and proposes the nearest that it has.
func (p *parser) unknown(key *yaml.Node, known []string) {
	message := "unknown field"
	if near := nearest(key.Value, known); near != "" {
		message += "; did you mean " + near + "?"
	} else {
		message += "; there are " + strings.Join(known, ", ")
	}
	p.failAt(key, message)
}

// nearest is the name that a misspelt one probably means; empty if none is near.
func nearest(name string, known []string) string {
	best, limit := "", len(name)/3+1
	for _, candidate := range known {
		if d := distance(strings.ToLower(name), candidate); d <= limit {
			best, limit = candidate, d-1
		}
	}
	return best
}

// distance is the number of letters to insert, delete or replace (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
