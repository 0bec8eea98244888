// Package configv1 is the resource kinds of a configuration: generated messages, and beside them what follows from the schema
// alone: names of kinds, the table of plugin types, validation, references.
package configv1

// collections are the names of the kinds in URLs and files.
var collections = map[Kind]string{
	Kind_KIND_SERVICE:     "services",
	Kind_KIND_ROUTE:       "routes",
	Kind_KIND_PLUGIN:      "plugins",
	Kind_KIND_PLAN:        "plans",
	Kind_KIND_TEST:        "tests",
	Kind_KIND_CONSUMER:    "consumers",
	Kind_KIND_KEY:         "keys",
	Kind_KIND_CERTIFICATE: "certificates",
	Kind_KIND_SECRET:      "secrets",
	Kind_KIND_BLOCK:       "blocks",
}

// firstFast is the lowest number of a kind that travels in the fast lane.
const firstFast = 16

// Collection is the kind's name in URLs and files: "services". Of an unknown kind it is empty.
func (k Kind) Collection() string { return collections[k] }

// Staged says whether the kind is part of revisions and reaches traffic by a rollout.
func (k Kind) Staged() bool { return k > 0 && k < firstFast && collections[k] != "" }

// Fast says whether the kind travels in the fast lane.
func (k Kind) Fast() bool { return k >= firstFast && collections[k] != "" }

// KindOf is the kind of a collection; KIND_UNSPECIFIED if there is none of that name.
func KindOf(collection string) Kind {
	for kind, name := range collections {
		if name == collection {
			return kind
		}
	}
	return Kind_KIND_UNSPECIFIED
}

// FileKinds are the kinds that a declarative file can hold, in the order in which they are written.
func FileKinds() []Kind {
	return []Kind{
		Kind_KIND_SERVICE, Kind_KIND_ROUTE, Kind_KIND_PLUGIN, Kind_KIND_PLAN, Kind_KIND_TEST,
		Kind_KIND_CONSUMER, Kind_KIND_CERTIFICATE, Kind_KIND_SECRET, Kind_KIND_BLOCK,
	}
}
