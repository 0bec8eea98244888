package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
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
	for _, variable := range flag.Envs {
		if _, set := os.LookupEnv(variable); set { // kong would let the file win
			return nil, nil //nolint:nilnil // kong's way to say: not here
		}
	}
	switch value := c[flag.Name].(type) {
	case nil:
		return nil, nil //nolint:nilnil // kong's way to say: not here
	case []any:
		texts := make([]string, 0, len(value))
		for _, one := range value {
			texts = append(texts, fmt.Sprint(one))
		}
		return strings.Join(texts, ","), nil
	case map[string]any, configFile:
		return nil, fmt.Errorf("the configuration file gives %q a map", flag.Name)
	default:
		return fmt.Sprint(value), nil
	}
}
