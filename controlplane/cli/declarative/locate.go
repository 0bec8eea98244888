package declarative

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// At is where a field of the resource stands, by its path in the file ("match.paths[0]") or in the API
// ("spec.match.paths[0]"); of a field that is not there, where the nearest that encloses it does.
func (r Resource) At(field string) Position {
	if r.node == nil {
		return Position{File: r.file}
	}
	node, key := r.node, r.node
	for _, part := range splitPath(strings.TrimPrefix(field, "spec.")) {
		nextKey, next := step(node, part)
		if next == nil {
			break
		}
		key, node = nextKey, next
	}
	return Position{File: r.file, Line: key.Line, Column: key.Column}
}

// splitPath makes ["match", "paths", "0"] of `match.paths[0]`; a key in quotes (`labels["a.b"]`) may hold dots.
func splitPath(path string) []string {
	var parts []string
	for path != "" {
		end := strings.IndexAny(path, ".[")
		switch {
		case end < 0:
			return append(parts, path)
		case end > 0:
			parts = append(parts, path[:end])
			path = path[end:]
		}
		if path[0] == '.' {
			path = path[1:]
			continue
		}
		inside, rest, found := strings.Cut(path[1:], "]")
		if !found {
			return parts
		}
		if unquoted, err := strconv.Unquote(inside); err == nil {
			inside = unquoted
		}
		parts, path = append(parts, inside), rest
	}
	return parts
}

// step goes one part deeper. It returns where the part stands and its value; nil when it is not there.
func step(node *yaml.Node, part string) (key, value *yaml.Node) {
	for node.Kind == yaml.AliasNode && node.Alias != nil {
		node = node.Alias
	}
	switch node.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == part {
				return node.Content[i], node.Content[i+1]
			}
		}
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(part); err == nil && i >= 0 && i < len(node.Content) {
			return node.Content[i], node.Content[i]
		}
	}
	return nil, nil
}

// Locate makes a problem of what the control plane says about a resource and a field of it, with its place in the file if
// it is one of the set's.
func (s *Set) Locate(reference, field, message string) Problem {
	problem := Problem{Resource: reference, Field: strings.TrimPrefix(field, "spec."), Message: message}
	if r, ok := s.Find(reference); ok {
		problem.Position = r.At(field)
	}
	return problem
}
