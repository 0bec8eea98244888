// Package declarative reads and writes the files that `tidegate apply` takes: YAML with a list for each kind of resource,
// every resource flattened to its name, its labels and the fields of its spec.
//
// The shape is not written down here: the reader walks the YAML nodes beside the descriptors of the schema, so a field that
// is added to a .proto can be written in a file. It is strict (an unknown field, a wrong type and a name that is used twice
// are errors) and remembers where each field stands, so that what the control plane complains about later can be shown at
// its line and column. What Write writes, Parse reads as the same resources.
//
// It must never know the network, nor expand variables of the environment: a file means the same on every machine.
package declarative
