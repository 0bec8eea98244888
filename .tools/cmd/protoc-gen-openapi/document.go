package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// object is a JSON object; encoding/json writes its members sorted, which keeps the output stable.
type object = map[string]any

// document is an OpenAPI document, its members in the order in which people read them.
type document struct {
	OpenAPI    string     `json:"openapi"`
	Info       object     `json:"info"`
	Servers    []object   `json:"servers,omitempty"`
	Security   []object   `json:"security,omitempty"`
	Tags       []object   `json:"tags"`
	Paths      object     `json:"paths"`
	Components components `json:"components"`
}

type components struct {
	SecuritySchemes object `json:"securitySchemes,omitempty"`
	Parameters      object `json:"parameters,omitempty"`
	Headers         object `json:"headers,omitempty"`
	Responses       object `json:"responses,omitempty"`
	Schemas         object `json:"schemas"`
}

// merge makes one document of many. A path with several methods may be spread over them.
func merge(fragments []string) (*document, error) {
	merged := &document{OpenAPI: "3.1.0", Paths: object{}, Components: components{Schemas: object{}}}
	for _, fragment := range fragments {
		var part document
		if err := json.Unmarshal([]byte(fragment), &part); err != nil {
			return nil, fmt.Errorf("decoding a generated document: %w", err)
		}
		for path, item := range part.Paths {
			methods, known := merged.Paths[path].(object)
			if !known {
				merged.Paths[path] = item
				continue
			}
			maps.Copy(methods, item.(object))
		}
		maps.Copy(merged.Components.Schemas, part.Components.Schemas)
		merged.Tags = append(merged.Tags, part.Tags...)
	}
	slices.SortFunc(merged.Tags, func(a, b object) int {
		return strings.Compare(fmt.Sprint(a["name"]), fmt.Sprint(b["name"]))
	})
	return merged, nil
}

func encode(d *document) (string, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(d); err != nil {
		return "", fmt.Errorf("encoding the document: %w", err)
	}
	return b.String(), nil
}

// walk calls visit for every object under value.
func walk(value any, visit func(object)) {
	switch v := value.(type) {
	case object:
		visit(v)
		for _, member := range v {
			walk(member, visit)
		}
	case []any:
		for _, item := range v {
			walk(item, visit)
		}
	}
}
