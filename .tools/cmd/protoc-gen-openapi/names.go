package main

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

const (
	ourPackages   = "tidegate."
	adminPackage  = "tidegate.admin.v1."
	configPackage = "tidegate.config.v1."
	reference     = "#/components/schemas/"
)

// useFieldNames makes each field's JSON name its own name: the server writes snake_case (protojson's UseProtoNames),
// while the generator knows JSON names only.
func useFieldNames(files []*descriptorpb.FileDescriptorProto) {
	for _, file := range files {
		if strings.HasPrefix(file.GetPackage(), ourPackages) {
			useFieldNamesIn(file.GetMessageType())
		}
	}
}

func useFieldNamesIn(messages []*descriptorpb.DescriptorProto) {
	for _, message := range messages {
		for _, field := range message.GetField() {
			field.JsonName = proto.String(field.GetName())
		}
		useFieldNamesIn(message.GetNestedType())
	}
}

// shortenNames gives the schemas the names of their messages, without package. Where a resource and its spec are called
// alike (admin.v1.Route holds a config.v1.Route) the spec becomes RouteSpec.
func shortenNames(d *document) {
	short := make(map[string]string)
	for name := range d.Components.Schemas {
		short[name] = shortName(name, d.Components.Schemas)
	}
	schemas := make(object, len(short))
	for name, schema := range d.Components.Schemas {
		schemas[short[name]] = schema
	}
	d.Components.Schemas = schemas
	rename := func(o object) {
		if target, ok := o["$ref"].(string); ok {
			if name, ok := strings.CutPrefix(target, reference); ok {
				o["$ref"] = reference + short[name]
			}
		}
	}
	walk(d.Paths, rename)
	walk(d.Components.Schemas, rename)
}

func shortName(name string, all object) string {
	if bare, ok := strings.CutPrefix(name, adminPackage); ok {
		return bare
	}
	bare, ok := strings.CutPrefix(name, configPackage)
	if !ok {
		return name
	}
	if _, clash := all[adminPackage+bare]; clash {
		return bare + "Spec"
	}
	return bare
}

// simplifyOneofs writes "exactly one of these members" the short way. Every oneof of this API is required, so the
// generator's first alternative (none of them) goes.
func simplifyOneofs(d *document) {
	walk(d.Components.Schemas, func(o object) {
		alternatives, ok := o["oneOf"].([]any)
		if !ok {
			return
		}
		var short []any
		for _, alternative := range alternatives {
			if required, ok := alternative.(object)["required"]; ok {
				short = append(short, object{"required": required})
			}
		}
		if len(short) > 0 {
			o["oneOf"] = slices.Clip(short)
		}
	})
}
