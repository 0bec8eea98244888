package admin

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tidegate.dev/controlplane/config"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// message is what the API's messages of all kinds have in common: a name, labels and a spec of type S.
type message[S proto.Message] interface {
	comparable
	proto.Message
	GetName() string
	GetLabels() map[string]string
	GetSpec() S
}

// resources translates between the API and package config for one kind: M is the API's message, S its spec. The services of
// the kinds are thin shells around it.
type resources[M message[S], S proto.Message] struct {
	*Server
	kind configv1.Kind
	// show makes the API's message of a stored resource.
	show func(config.Resource, S) M
}

// asked is what every request about one resource says.
type askedResource interface {
	GetFleet() string
	GetName() string
}

// askedList is what every request for a list says.
type askedList interface {
	GetFleet() string
	GetPageSize() int32
	GetPageToken() string
	GetFilter() string
	GetView() string
}

func (r resources[M, S]) get(ctx context.Context, asked interface {
	askedResource
	GetView() string
},
) (M, error) {
	found, err := r.config.Get(ctx, asked.GetFleet(), r.kind, asked.GetName(), asked.GetView())
	return r.answer(ctx, found, err)
}

func (r resources[M, S]) list(ctx context.Context, asked askedList) (items []M, next string, err error) {
	found, next, err := r.config.List(ctx, asked.GetFleet(), r.kind, config.ListOptions{
		View: asked.GetView(), Filter: asked.GetFilter(), PageSize: pageSize(asked.GetPageSize()), PageToken: asked.GetPageToken(),
	})
	if err != nil {
		return nil, "", err
	}
	items = make([]M, 0, len(found))
	for _, one := range found {
		item, err := r.message(one)
		if err != nil {
			return nil, "", err
		}
		items = append(items, item)
	}
	return items, next, nil
}

func (r resources[M, S]) create(ctx context.Context, fleet, changeSet string, given M) (M, error) {
	if given.GetName() == "" {
		return *new(M), invalidField("name", "required", "is required")
	}
	written, err := r.config.Create(ctx, callOf(ctx).who.Name, fleet, r.resource(given, given.GetName()), writeOptions(ctx, changeSet))
	return r.written(ctx, written, err)
}

func (r resources[M, S]) update(ctx context.Context, asked askedResource, changeSet string, given M, mask *fieldmaskpb.FieldMask) (M, error) {
	if err := sameName(asked.GetName(), given.GetName()); err != nil {
		return *new(M), err
	}
	change, paths := r.resource(given, asked.GetName()), writable(mask.GetPaths(), given.ProtoReflect().Descriptor())
	if len(paths) == 0 { // nothing that can be written is named: nothing changes
		var none S
		change.Labels, change.Spec = nil, none
	}
	written, err := r.config.Update(ctx, callOf(ctx).who.Name, asked.GetFleet(), change, paths, writeOptions(ctx, changeSet))
	return r.written(ctx, written, err)
}

func (r resources[M, S]) upsert(ctx context.Context, asked askedResource, changeSet string, given M) (M, error) {
	if err := sameName(asked.GetName(), given.GetName()); err != nil {
		return *new(M), err
	}
	written, err := r.config.Upsert(ctx, callOf(ctx).who.Name, asked.GetFleet(), r.resource(given, asked.GetName()), writeOptions(ctx, changeSet))
	return r.written(ctx, written, err)
}

func (r resources[M, S]) remove(ctx context.Context, asked askedResource, changeSet string) (*emptypb.Empty, error) {
	written, err := r.config.Delete(ctx, callOf(ctx).who.Name, asked.GetFleet(), r.kind, asked.GetName(), writeOptions(ctx, changeSet))
	if err != nil {
		return nil, err
	}
	showPublished(ctx, written.Published)
	return &emptypb.Empty{}, nil
}

// resource is what the caller gave; what is output only is left out.
func (r resources[M, S]) resource(given M, name string) config.Resource {
	return config.Resource{Kind: r.kind, Name: name, Labels: given.GetLabels(), Spec: given.GetSpec()}
}

func (r resources[M, S]) written(ctx context.Context, written config.Written, err error) (M, error) {
	if err == nil {
		showPublished(ctx, written.Published)
	}
	return r.answer(ctx, written.Resource, err)
}

func (r resources[M, S]) answer(ctx context.Context, found config.Resource, err error) (M, error) {
	if err != nil {
		return *new(M), err
	}
	callOf(ctx).setHeader(headerETag, found.ETag)
	return r.message(found)
}

func (r resources[M, S]) message(found config.Resource) (M, error) {
	spec, ok := found.Spec.(S)
	if !ok {
		return *new(M), fmt.Errorf("%s/%s is stored as a %T", r.kind.Collection(), found.Name, found.Spec)
	}
	return r.show(found, spec), nil
}

// writeOptions are what the headers and the query of a write say.
func writeOptions(ctx context.Context, changeSet string) config.WriteOptions {
	return config.WriteOptions{IfMatch: incoming(ctx, headerIfMatch), IfNoneMatch: incoming(ctx, headerIfNoneMatch), ChangeSet: changeSet}
}

// showPublished says in headers which revision a write made, and which rollout carries it.
func showPublished(ctx context.Context, published config.Published) {
	if published.Revision > 0 {
		callOf(ctx).setHeader(headerRevision, fmt.Sprint(published.Revision))
	}
	if published.Rollout > 0 {
		callOf(ctx).setHeader(headerRollout, fmt.Sprint(published.Rollout))
	}
}

// sameName refuses a body that names another resource than the path.
func sameName(path, body string) error {
	if body != "" && body != path {
		return invalidField("name", "name.path", fmt.Sprintf("is %q in the body and %q in the path", body, path))
	}
	return nil
}

// outputOnly are the fields of a resource that a client may send back as it got them.
var outputOnly = map[string]bool{
	"name": true, "etag": true, "revision": true, "sequence": true, "update_time": true, "state": true,
	"phase": true, "notes": true, "not_after": true, "issuance": true,
}

// writable are the paths of a mask that can be written: what is output only is ignored wherever it is sent, and a free-form
// object (a plugin's config) is one value, though the gateway names its members when it makes a mask of a body.
func writable(paths []string, resource protoreflect.MessageDescriptor) []string {
	kept := make([]string, 0, len(paths))
	for _, path := range paths {
		if outputOnly[path] {
			continue
		}
		if path = untilFreeForm(path, resource); !slices.Contains(kept, path) {
			kept = append(kept, path)
		}
	}
	return kept
}

// untilFreeForm cuts a path behind the first field that is a free-form object.
func untilFreeForm(path string, message protoreflect.MessageDescriptor) string {
	names := strings.Split(path, ".")
	for i, name := range names {
		if message == nil {
			break
		}
		field := message.Fields().ByName(protoreflect.Name(name))
		if field == nil {
			break
		}
		if message = field.Message(); message != nil && message.FullName() == "google.protobuf.Struct" {
			return strings.Join(names[:i+1], ".")
		}
	}
	return path
}

// timestamp is a time in a message; the zero time is left out.
func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// optionalTimestamp is a time that may be missing.
func optionalTimestamp(t *time.Time) *timestamppb.Timestamp {
	if t == nil {
		return nil
	}
	return timestamppb.New(*t)
}
