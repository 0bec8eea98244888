// Package openapi turns an OpenAPI 3 description into a service and routes: one route for each operation.
//
// It reads of the description only what says where requests go (servers, paths, methods, path parameters), so that a
// description of many megabytes with schemas that nobody asked about costs little. It must never know the network: what the
// description refers to outside of itself is noted, not fetched.
package openapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// document is the part of an OpenAPI description that matters here (OpenAPI 3.1, section 4.8).
type document struct {
	OpenAPI    string              `json:"openapi" yaml:"openapi"`
	Swagger    string              `json:"swagger" yaml:"swagger"`
	Servers    []server            `json:"servers" yaml:"servers"`
	Paths      map[string]pathItem `json:"paths" yaml:"paths"`
	Components struct {
		Parameters map[string]parameter `json:"parameters" yaml:"parameters"`
		PathItems  map[string]pathItem  `json:"pathItems" yaml:"pathItems"`
	} `json:"components" yaml:"components"`
}

type server struct {
	URL       string `json:"url" yaml:"url"`
	Variables map[string]struct {
		Default string `json:"default" yaml:"default"`
	} `json:"variables" yaml:"variables"`
}

type pathItem struct {
	Ref        string      `json:"$ref" yaml:"$ref"`
	Parameters []parameter `json:"parameters" yaml:"parameters"`
	Servers    []server    `json:"servers" yaml:"servers"`
	Get        *operation  `json:"get" yaml:"get"`
	Put        *operation  `json:"put" yaml:"put"`
	Post       *operation  `json:"post" yaml:"post"`
	Delete     *operation  `json:"delete" yaml:"delete"`
	Options    *operation  `json:"options" yaml:"options"`
	Head       *operation  `json:"head" yaml:"head"`
	Patch      *operation  `json:"patch" yaml:"patch"`
	Trace      *operation  `json:"trace" yaml:"trace"`
}

type operation struct {
	ID         string      `json:"operationId" yaml:"operationId"`
	Parameters []parameter `json:"parameters" yaml:"parameters"`
	Servers    []server    `json:"servers" yaml:"servers"`
}

type parameter struct {
	Ref  string `json:"$ref" yaml:"$ref"`
	Name string `json:"name" yaml:"name"`
	In   string `json:"in" yaml:"in"`
	// MultiSegment is GitHub's mark for a parameter whose value may hold slashes, which OpenAPI itself cannot say.
	MultiSegment bool `json:"x-multi-segment" yaml:"x-multi-segment"`
}

// methods are the operations of a path item, in a fixed order.
func (p pathItem) methods() []method {
	all := []method{
		{"DELETE", p.Delete},
		{"GET", p.Get},
		{"HEAD", p.Head},
		{"OPTIONS", p.Options},
		{"PATCH", p.Patch},
		{"POST", p.Post},
		{"PUT", p.Put},
		{"TRACE", p.Trace},
	}
	var given []method
	for _, m := range all {
		if m.operation != nil {
			given = append(given, m)
		}
	}
	return given
}

type method struct {
	name      string
	operation *operation
}

// read decodes a description in JSON or YAML.
func read(content []byte) (*document, error) {
	d := &document{}
	var err error
	if trimmed := bytes.TrimSpace(content); len(trimmed) > 0 && trimmed[0] == '{' {
		err = json.Unmarshal(content, d)
	} else {
		err = yaml.Unmarshal(content, d)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the description: %w", err)
	case d.Swagger != "":
		return nil, fmt.Errorf("the description is Swagger %s; convert it to OpenAPI 3 first", d.Swagger)
	case !strings.HasPrefix(d.OpenAPI, "3."):
		return nil, errors.New(`this is no OpenAPI 3 description: it has no field "openapi" that begins with 3`)
	case len(d.Paths) == 0:
		return nil, errors.New("the description has no paths")
	}
	return d, nil
}

// url is the server's URL with the defaults of its variables.
func (s server) url() string {
	text := s.URL
	for name, variable := range s.Variables {
		text = strings.ReplaceAll(text, "{"+name+"}", variable.Default)
	}
	return text
}
