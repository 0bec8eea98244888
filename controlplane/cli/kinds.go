package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// listing is one kind of thing that `get` shows.
type listing struct {
	// collection is its name in URLs, and what people type, with or without the s.
	collection string
	// one and list make empty messages for the answers.
	one, list func() proto.Message
	columns   []column
	// kind is set for what a declarative file can hold.
	kind configv1.Kind
	// global is what belongs to no fleet.
	global bool
}

// column shows the field at a path: "spec.match.paths".
type column struct {
	title, path string
}

// listings are all kinds, those of files first and in their order.
func listings() []listing {
	staged := column{"STATE", "state"}
	revision := column{"REVISION", "revision"}
	changed := column{"CHANGED", "update_time"}
	name := column{"NAME", "name"}
	return []listing{
		{
			collection: "services", kind: configv1.Kind_KIND_SERVICE,
			one: func() proto.Message { return new(adminv1.Service) }, list: func() proto.Message { return new(adminv1.ListServicesResponse) },
			columns: []column{name, {"URL", "spec.url"}, {"TARGETS", "spec.targets.url"}, staged, revision, changed},
		},
		{
			collection: "routes", kind: configv1.Kind_KIND_ROUTE,
			one: func() proto.Message { return new(adminv1.Route) }, list: func() proto.Message { return new(adminv1.ListRoutesResponse) },
			columns: []column{
				name,
				{"METHODS", "spec.match.methods"},
				{"HOSTS", "spec.match.hosts"},
				{"PATHS", "spec.match.paths"},
				{"SERVICE", "spec.service"},
				staged, revision, changed,
			},
		},
		{
			collection: "plugins", kind: configv1.Kind_KIND_PLUGIN,
			one: func() proto.Message { return new(adminv1.Plugin) }, list: func() proto.Message { return new(adminv1.ListPluginsResponse) },
			columns: []column{name, {"TYPE", "spec.type"}, {"SCOPE", "spec.scope"}, {"MODE", "spec.mode"}, staged, revision, changed},
		},
		{
			collection: "plans", kind: configv1.Kind_KIND_PLAN,
			one: func() proto.Message { return new(adminv1.Plan) }, list: func() proto.Message { return new(adminv1.ListPlansResponse) },
			columns: []column{name, {"REQUESTS", "spec.limits.requests"}, {"PER", "spec.limits.per"}, staged, revision, changed},
		},
		{
			collection: "tests", kind: configv1.Kind_KIND_TEST,
			one: func() proto.Message { return new(adminv1.Test) }, list: func() proto.Message { return new(adminv1.ListTestsResponse) },
			columns: []column{
				name, {"URL", "spec.request.url"}, {"ROUTE", "spec.expect.route"}, {"REASON", "spec.expect.reason"}, staged, revision, changed,
			},
		},
		{
			collection: "consumers", kind: configv1.Kind_KIND_CONSUMER,
			one: func() proto.Message { return new(adminv1.Consumer) }, list: func() proto.Message { return new(adminv1.ListConsumersResponse) },
			columns: []column{name, {"PLAN", "spec.plan"}, {"DISABLED", "spec.disabled"}, staged, {"SEQUENCE", "sequence"}, changed},
		},
		{
			collection: "certificates", kind: configv1.Kind_KIND_CERTIFICATE,
			one: func() proto.Message { return new(adminv1.Certificate) }, list: func() proto.Message { return new(adminv1.ListCertificatesResponse) },
			columns: []column{
				name,
				{"SERVER NAMES", "spec.server_names"},
				{"EXPIRES", "not_after"},
				staged,
				{"ACME", "issuance.state"},
				{"RENEWS", "issuance.renew_time"},
				{"SEQUENCE", "sequence"},
				changed,
				{"ERROR", "issuance.error"},
			},
		},
		{
			collection: "secrets", kind: configv1.Kind_KIND_SECRET,
			one: func() proto.Message { return new(adminv1.Secret) }, list: func() proto.Message { return new(adminv1.ListSecretsResponse) },
			columns: []column{name, staged, {"SEQUENCE", "sequence"}, changed},
		},
		{
			collection: "blocks", kind: configv1.Kind_KIND_BLOCK,
			one: func() proto.Message { return new(adminv1.Block) }, list: func() proto.Message { return new(adminv1.ListBlocksResponse) },
			columns: []column{
				name, {"ADDRESSES", "spec.addresses"}, {"CONSUMER", "spec.consumer"}, {"EXPIRES", "spec.expires_at"}, {"REASON", "spec.reason"}, changed,
			},
		},
		{
			collection: "strategies",
			one:        func() proto.Message { return new(adminv1.Strategy) }, list: func() proto.Message { return new(adminv1.ListStrategiesResponse) },
			columns: []column{
				name,
				{"DEFAULT", "is_default"},
				{"AGENTS", "spec.steps.agents"},
				{"AGENTS %", "spec.steps.agents_percent"},
				{"TRAFFIC %", "spec.steps.traffic_percent"},
				{"BAKE", "spec.steps.bake"},
				{"STICKY", "spec.sticky"},
			},
		},
		{
			collection: "agents",
			one:        func() proto.Message { return new(adminv1.Agent) }, list: func() proto.Message { return new(adminv1.ListAgentsResponse) },
			columns: []column{
				name,
				{"ID", "id"},
				{"STATE", "state"},
				{"STABLE", "applied_stable_revision"},
				{"CANDIDATE", "applied_candidate_revision"},
				{"CANDIDATE %", "candidate_percent"},
				{"LANE", "lane_sequence"},
				{"SEEN", "last_seen_time"},
				{"ERROR", "error"},
			},
		},
		{
			collection: "revisions",
			one:        func() proto.Message { return new(adminv1.Revision) }, list: func() proto.Message { return new(adminv1.ListRevisionsResponse) },
			columns: []column{
				{"REVISION", "number"},
				{"STATE", "state"},
				{"ORIGIN", "origin"},
				{"+", "created"},
				{"~", "updated"},
				{"-", "deleted"},
				{"ROLLOUT", "rollout"},
				{"AUTHOR", "author"},
				{"MADE", "create_time"},
				{"MESSAGE", "message"},
			},
		},
		{
			collection: "rollouts",
			one:        func() proto.Message { return new(adminv1.Rollout) }, list: func() proto.Message { return new(adminv1.ListRolloutsResponse) },
			columns: []column{
				{"ROLLOUT", "id"},
				{"REVISION", "revision"},
				{"STATE", "state"},
				{"STRATEGY", "strategy"},
				{"AUTHOR", "author"},
				{"BEGAN", "create_time"},
				{"REASON", "reason"},
			},
		},
		{
			collection: "changeSets",
			one:        func() proto.Message { return new(adminv1.ChangeSet) }, list: func() proto.Message { return new(adminv1.ListChangeSetsResponse) },
			columns: []column{
				{"ID", "id"},
				{"STATE", "state"},
				{"BASE", "base_revision"},
				{"REVISION", "revision"},
				{"AUTHOR", "author"},
				{"CHANGED", "update_time"},
				{"MESSAGE", "message"},
			},
		},
		{
			collection: "fleets", global: true,
			one: func() proto.Message { return new(adminv1.Fleet) }, list: func() proto.Message { return new(adminv1.ListFleetsResponse) },
			columns: []column{
				name,
				{"HEAD", "head_revision"},
				{"STABLE", "stable_revision"},
				{"ROLLOUT", "active_rollout"},
				{"CONNECTED", "agents_connected"},
				{"AGENTS", "agents_total"},
			},
		},
	}
}

// keyListing shows keys, which belong to a consumer.
func keyListing() listing {
	return listing{
		collection: "keys",
		one:        func() proto.Message { return new(adminv1.Key) }, list: func() proto.Message { return new(adminv1.ListKeysResponse) },
		columns: []column{
			{"ID", "id"},
			{"CONSUMER", "consumer"},
			{"STATE", "state"},
			{"EXPIRES", "spec.expires_at"},
			{"SCOPES", "spec.scopes"},
			{"MADE", "create_time"},
			{"USED", "last_used_time"},
			{"DESCRIPTION", "spec.description"},
		},
	}
}

// findListing finds a kind by what people type: "route", "routes", "changesets".
func findListing(typed string) (listing, error) {
	wanted := strings.ToLower(typed)
	var names []string
	for _, l := range listings() {
		plural := strings.ToLower(l.collection)
		singular := strings.TrimSuffix(plural, "s")
		if strings.HasSuffix(plural, "ies") {
			singular = strings.TrimSuffix(plural, "ies") + "y"
		}
		if wanted == plural || wanted == singular {
			return l, nil
		}
		names = append(names, l.collection)
	}
	return listing{}, usage("there is no kind %q; there are %s", typed, strings.Join(names, ", "))
}

// items are the elements of a list's answer: its only repeated field.
func items(list proto.Message) []proto.Message {
	message := list.ProtoReflect()
	var found []proto.Message
	if field := itemsField(message); field != nil {
		values := message.Get(field).List()
		for i := range values.Len() {
			found = append(found, values.Get(i).Message().Interface())
		}
	}
	return found
}

func itemsField(message protoreflect.Message) protoreflect.FieldDescriptor {
	fields := message.Descriptor().Fields()
	for i := range fields.Len() {
		if fields.Get(i).IsList() {
			return fields.Get(i)
		}
	}
	return nil
}

// cell is the value at a path as text: lists joined, times as how long ago.
func cell(message protoreflect.Message, path string, now time.Time) string {
	name, rest, deeper := strings.Cut(path, ".")
	field := message.Descriptor().Fields().ByName(protoreflect.Name(name))
	if field == nil || !message.Has(field) {
		return ""
	}
	if !field.IsList() {
		if deeper {
			return cell(message.Get(field).Message(), rest, now)
		}
		return scalarText(field, message.Get(field), now)
	}
	var parts []string
	list := message.Get(field).List()
	for i := range list.Len() {
		if deeper {
			parts = append(parts, first(cell(list.Get(i).Message(), rest, now), "-"))
		} else {
			parts = append(parts, scalarText(field, list.Get(i), now))
		}
	}
	return strings.Join(parts, ",")
}

func scalarText(field protoreflect.FieldDescriptor, value protoreflect.Value, now time.Time) string {
	switch field.Kind() {
	case protoreflect.MessageKind:
		switch m := value.Message().Interface().(type) {
		case *timestamppb.Timestamp:
			return ago(now, m.AsTime())
		case *structpb.Struct:
			return fmt.Sprint(len(m.GetFields()))
		}
		return pairs(value.Message(), now)
	case protoreflect.DoubleKind:
		return strconv.FormatFloat(value.Float(), 'f', -1, 64)
	case protoreflect.BoolKind:
		return map[bool]string{true: "yes", false: ""}[value.Bool()]
	default:
		return value.String()
	}
}

// pairs shows a small message: "route=orders,plan=gold".
func pairs(message protoreflect.Message, now time.Time) string {
	var parts []string
	message.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		parts = append(parts, string(field.Name())+"="+scalarText(field, value, now))
		return true
	})
	slices.Sort(parts)
	return strings.Join(parts, ",")
}

// ago says how long before now a time was, in its largest unit: "3m ago"; "in 2d" for one to come.
func ago(now, t time.Time) string {
	span := now.Sub(t)
	if span < 0 {
		return "in " + rough(-span)
	}
	if span < time.Second {
		return "now"
	}
	return rough(span) + " ago"
}

func rough(span time.Duration) string {
	switch {
	case span < time.Minute:
		return fmt.Sprintf("%ds", int(span.Seconds()))
	case span < time.Hour:
		return fmt.Sprintf("%dm", int(span.Minutes()))
	case span < 48*time.Hour:
		return fmt.Sprintf("%dh", int(span.Hours()))
	default:
		return fmt.Sprintf("%dd", int(span.Hours()/24))
	}
}
