package discovery

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// longestZone is how long the name of a zone may be.
const longestZone = 128

// lineError says where in a file something is wrong.
type lineError struct {
	line int
	err  error
}

func (e *lineError) Error() string { return fmt.Sprintf("line %d: %v", e.line, e.err) }

// Unwrap returns what is wrong there.
func (e *lineError) Unwrap() error { return e.err }

func wrong(node *yaml.Node, format string, arguments ...any) error {
	return &lineError{node.Line, fmt.Errorf(format, arguments...)}
}

// parseList reads a list of {address, weight, zone} in YAML, of which JSON is a part. An empty list is a list; nothing is none.
func parseList(content string) ([]Target, error) {
	decoder := yaml.NewDecoder(strings.NewReader(content))
	var document yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return nil, errors.New("the file is empty; a list without targets is []")
	} else if err != nil {
		return nil, err
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more after the list")
	}
	list := document.Content[0]
	if list.Kind != yaml.SequenceNode {
		return nil, wrong(list, "this is no list")
	}
	if len(list.Content) > MaxTargets {
		return nil, wrong(list, "%d targets are more than %d", len(list.Content), MaxTargets)
	}
	targets := make([]Target, 0, len(list.Content))
	lines := map[string]int{}
	for _, item := range list.Content {
		target, err := parseEntry(item)
		if err != nil {
			return nil, err
		}
		if line, ok := lines[target.Address]; ok {
			return nil, wrong(item, "%s stands in line %d, too", target.Address, line)
		}
		lines[target.Address] = item.Line
		targets = append(targets, target)
	}
	return targets, nil
}

func parseEntry(item *yaml.Node) (Target, error) {
	if item.Kind != yaml.MappingNode {
		return Target{}, wrong(item, "this is no {address, weight, zone}")
	}
	target := Target{Weight: 1}
	seen := map[string]bool{}
	for i := 0; i+1 < len(item.Content); i += 2 {
		key, value := item.Content[i], item.Content[i+1]
		if seen[key.Value] {
			return Target{}, wrong(key, "%q stands there twice", key.Value)
		}
		seen[key.Value] = true
		if value.Kind != yaml.ScalarNode || value.Tag == "!!null" {
			return Target{}, wrong(value, "the value of %q is neither text nor a number", key.Value)
		}
		if err := target.set(key.Value, value.Value); err != nil {
			return Target{}, &lineError{value.Line, err}
		}
	}
	if target.Address == "" {
		return Target{}, wrong(item, "the address is missing")
	}
	return target, nil
}

func (t *Target) set(key, value string) error {
	switch key {
	case "address":
		host, port, err := net.SplitHostPort(value)
		if err != nil {
			return fmt.Errorf("the address %q is not host:port", value)
		}
		number, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return fmt.Errorf("the address %q has no port from 1 to 65535", value)
		}
		address, ok := joinAddress(host, int(number))
		if !ok {
			return fmt.Errorf("the address %q is none that one can connect to", value)
		}
		t.Address = address
	case "weight":
		weight, err := strconv.ParseUint(value, 10, 32)
		if err != nil || weight > MaxWeight {
			return fmt.Errorf("the weight %q is no number from 0 to %d", value, MaxWeight)
		}
		t.Weight = max(1, uint32(weight))
	case "zone":
		if len(value) > longestZone {
			return fmt.Errorf("the zone is longer than %d", longestZone)
		}
		t.Zone = value
	default:
		return fmt.Errorf("there is no field %q; there are address, weight and zone", key)
	}
	return nil
}
