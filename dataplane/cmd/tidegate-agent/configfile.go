package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"
)

// configFile resolves flags from a YAML file of names and values. A name that is no flag is an error.
type configFile map[string]any

// readConfig is kong's way to a file format.
func readConfig(r io.Reader) (kong.Resolver, error) {
	file := configFile{}
	if err := yaml.NewDecoder(r).Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading the configuration file: %w", err)
	}
	return file, nil
}

// Validate finds names that no flag has.
func (c configFile) Validate(app *kong.Application) error {
	known := map[string]bool{}
	for _, group := range app.AllFlags(false) {
		for _, flag := range group {
			known[flag.Name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c)) {
		if !known[name] {
			return fmt.Errorf("the configuration file names %q, which is no flag", name)
		}
	}
	return nil
}

// Resolve gives the value of a flag; nil if the file does not name it. The command line and the environment win over it.
func (c configFile) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	switch value := c[flag.Name].(type) {
	case nil:
		return nil, nil //nolint:nilnil // kong's way to say: not here
	case []any:
		texts := make([]string, 0, len(value))
		for _, one := range value {
			texts = append(texts, fmt.Sprint(one))
		}
		return strings.Join(texts, ","), nil
	case configFile: // labels; a map within a configFile is decoded as one
		var texts []string
		for _, key := range slices.Sorted(maps.Keys(value)) {
			texts = append(texts, fmt.Sprintf("%s=%v", key, value[key]))
		}
		return strings.Join(texts, ","), nil
	default:
		return fmt.Sprint(value), nil
	}
}
