package snapshot

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"tidegate.dev/proto/revision"
)

// decode reads a resource's bytes. A field that this agent does not know is an error: to serve without it could mean to
// leave out a protection.
func (c *compilation) decode(resource revision.Resource, into proto.Message) bool {
	if err := proto.Unmarshal(resource.Body, into); err != nil {
		c.fail(resource.Key.String(), "", CodeCompile, "its %d bytes are no such message", len(resource.Body))
		return false
	}
	if where, ok := unknownField(into.ProtoReflect()); ok {
		c.fail(resource.Key.String(), where, CodeCapability, "has a field that this agent does not know; update the agent")
		return false
	}
	return true
}

// unknownField finds the message, by its path, that has a field without a name.
func unknownField(m protoreflect.Message) (where string, found bool) {
	if len(m.GetUnknown()) > 0 {
		return "", true
	}
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		if field.Message() == nil || field.IsMap() {
			return true
		}
		name := string(field.Name())
		if !field.IsList() {
			where, found = unknownField(value.Message())
			where = join(name, where)
			return !found
		}
		for i := range value.List().Len() {
			if where, found = unknownField(value.List().Get(i).Message()); found {
				where = join(fmt.Sprintf("%s[%d]", name, i), where)
				return false
			}
		}
		return true
	})
	return where, found
}

func join(name, rest string) string {
	if rest == "" {
		return name
	}
	return name + "." + rest
}

// duration reads a length of time such as 250ms; empty is fallback.
func (c *compilation) duration(resource, field, text string, fallback time.Duration) time.Duration {
	if text == "" {
		return fallback
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		c.fail(resource, field, CodeCompile, "%q is no length of time such as 250ms, 10s or 1h", text)
		return fallback
	}
	return d
}
