package configv1

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// PluginTypeInfo is one type of plugin: what its mark in the schema says, and the message of its settings.
type PluginTypeInfo struct {
	*PluginType
	message protoreflect.MessageType
}

// NewSettings makes empty settings of the type.
func (t PluginTypeInfo) NewSettings() proto.Message { return t.message.New().Interface() }

// pluginTypes reads the marks once.
var pluginTypes = sync.OnceValue(func() map[string]PluginTypeInfo {
	types := make(map[string]PluginTypeInfo)
	protoregistry.GlobalTypes.RangeMessages(func(mt protoreflect.MessageType) bool {
		mark, _ := proto.GetExtension(mt.Descriptor().Options(), E_PluginType).(*PluginType)
		if mark.GetName() != "" {
			types[mark.GetName()] = PluginTypeInfo{PluginType: mark, message: mt}
		}
		return true
	})
	return types
})

// PluginTypes lists the types by name.
func PluginTypes() []PluginTypeInfo {
	var out []PluginTypeInfo
	for _, t := range pluginTypes() {
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b PluginTypeInfo) int { return strings.Compare(a.GetName(), b.GetName()) })
	return out
}

// LookupPluginType finds a type by its name.
func LookupPluginType(name string) (PluginTypeInfo, bool) {
	t, ok := pluginTypes()[name]
	return t, ok
}

// ErrUnknownPluginType says that no type has the plugin's name.
var ErrUnknownPluginType = errors.New("unknown plugin type")

// Settings decodes the plugin's config into the message of its type. A field that the type does not know is an error, as is
// a value of the wrong type. Rules beside the fields are checked by Validate, not here.
func (p *Plugin) Settings() (proto.Message, error) { return p.settings(protojson.UnmarshalOptions{}) }

func (p *Plugin) settings(read protojson.UnmarshalOptions) (proto.Message, error) {
	t, ok := LookupPluginType(p.GetType())
	if !ok {
		return nil, fmt.Errorf("%w %q", ErrUnknownPluginType, p.GetType())
	}
	settings := t.NewSettings()
	if p.GetConfig() == nil {
		return settings, nil
	}
	raw, err := protojson.Marshal(p.GetConfig())
	if err != nil {
		return nil, fmt.Errorf("encoding the config of a %s plugin: %w", p.GetType(), err)
	}
	if err := read.Unmarshal(raw, settings); err != nil {
		return nil, fmt.Errorf("reading the config of a %s plugin: %w", p.GetType(), err)
	}
	return settings, nil
}

// PhaseName is the phase as people write it: "authentication".
func (t PluginTypeInfo) PhaseName() string {
	return strings.ToLower(strings.TrimPrefix(t.GetPhase().String(), "PHASE_"))
}

func (h *HeaderTransform) secretFields() []Reference {
	var out []Reference
	for _, side := range []struct {
		name    string
		changes *HeaderChanges
	}{{"request", h.GetRequest()}, {"response", h.GetResponse()}} {
		for _, list := range []struct {
			name   string
			fields []*HeaderField
		}{{"set", side.changes.GetSet()}, {"append", side.changes.GetAppend()}} {
			for i, f := range list.fields {
				if f.GetSecret() != "" {
					out = append(out, Reference{
						Field: fmt.Sprintf("%s.%s[%d].secret", side.name, list.name, i),
						Kind:  Kind_KIND_SECRET, Name: f.GetSecret(),
					})
				}
			}
		}
	}
	return out
}
