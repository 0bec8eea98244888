package admin

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// check refuses a request that breaks rules of the schema, naming every field that does, and query parameters that the
// method does not have: one that is misspelt must not be ignored (think of change_set).
func (s *Server) check(ctx context.Context, fullMethod string, request any) error {
	message, ok := request.(proto.Message)
	if !ok {
		return fmt.Errorf("%s takes a %T, not a message", fullMethod, request)
	}
	if err := checkParameters(callOf(ctx).query, s.rules[fullMethod], message.ProtoReflect().Descriptor()); err != nil {
		return err
	}
	if partial(message) {
		return nil // package config checks what comes out of a partial update
	}
	return checkMessage(callOf(ctx), message, s.rules[fullMethod].GetBody(), s.methods[fullMethod].collection)
}

// partial says whether the request holds parts of a resource, under a mask.
func partial(request proto.Message) bool {
	return request.ProtoReflect().Descriptor().Fields().ByName("update_mask") != nil
}

// checkMessage finds the rules that a request breaks. What is wrong within the resources that it carries is left to package
// config, which finds that and also what is wrong between resources, so that the caller gets all of it at once; it is kept in
// the call, in case that config should see nothing.
func checkMessage(c *call, message proto.Message, body, collection string) error {
	found, err := configv1.Validate(message)
	if err != nil || len(found) == 0 {
		return err
	}
	located := make([]*adminv1.Violation, 0, len(found))
	within := true
	for _, v := range found {
		located = append(located, locate(message, body, collection, v))
		within = within && (listed.MatchString(v.Field) || carriesResource(message, body) && strings.HasPrefix(v.Field, body+"."))
	}
	if within {
		c.left = invalid(located)
		return nil
	}
	return invalid(located)
}

// carriesResource says whether the body of a request is a resource of one of the kinds.
func carriesResource(request proto.Message, body string) bool {
	_, isKind := configv1.Kind_value["KIND_"+strings.ToUpper(body)]
	field := request.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(body))
	return isKind && body != "key" && field != nil
}

// invalid is the problem of a request with violations.
func invalid(violations []*adminv1.Violation) *problem {
	first := violations[0]
	detail := first.GetMessage()
	if where := strings.TrimSpace(first.GetResource() + " " + first.GetField()); where != "" {
		detail = where + ": " + detail
	}
	if more := len(violations) - 1; more > 0 {
		detail = fmt.Sprintf("%s (and %d more)", detail, more)
	}
	return &problem{kind: problemInvalid, detail: detail, violations: violations}
}

// listed matches the path of a field of one of many resources in a request.
var listed = regexp.MustCompile(`^(resources|upserts)\[(\d+)\](?:\.([a-z_]+))?(.*)$`)

// locate says where a violation is in the terms of the caller: a resource, and the path of the field in it.
func locate(request proto.Message, body, collection string, v configv1.FieldViolation) *adminv1.Violation {
	out := &adminv1.Violation{Field: v.Field, Rule: v.Rule, Message: v.Message}
	if match := listed.FindStringSubmatch(v.Field); match != nil {
		if resource := listedResource(request, match[1], match[2]); resource != nil {
			return locateListed(out, resource, match[3], match[4])
		}
	}
	if rest, ok := strings.CutPrefix(v.Field, body+"."); ok && body != "" && body != "*" {
		out.Field = rest
	}
	if name := nameIn(request, body); name != "" && collection != "" {
		out.Resource = collection + "/" + name
	}
	return out
}

func listedResource(request proto.Message, list, index string) *adminv1.Resource {
	var resources []*adminv1.Resource
	switch m := request.(type) {
	case *adminv1.ApplyRequest:
		resources = m.GetResources()
	case *adminv1.EditChangeSetRequest:
		resources = m.GetUpserts()
	}
	i, err := strconv.Atoi(index)
	if err != nil || i >= len(resources) || list == "" {
		return nil
	}
	return resources[i]
}

func locateListed(out *adminv1.Violation, resource *adminv1.Resource, field, rest string) *adminv1.Violation {
	spec := resource.ProtoReflect().WhichOneof(resource.ProtoReflect().Descriptor().Oneofs().ByName("spec"))
	if spec != nil {
		out.Resource = string(spec.Name()) + "s/" + resource.GetName()
		if field == string(spec.Name()) {
			field = "spec"
		}
		out.Field = field + rest
	}
	return out
}

// nameIn is the name that a request or its body gives.
func nameIn(request proto.Message, body string) string {
	m := request.ProtoReflect()
	for _, name := range []protoreflect.Name{"name", "id", "key", "number"} {
		if field := m.Descriptor().Fields().ByName(name); field != nil && field.Message() == nil && m.Has(field) {
			return m.Get(field).String()
		}
	}
	if field := m.Descriptor().Fields().ByName(protoreflect.Name(body)); field != nil && field.Message() != nil && m.Has(field) {
		return nameIn(m.Get(field).Message().Interface(), "")
	}
	return ""
}

// checkParameters refuses query parameters that the method does not take.
func checkParameters(query url.Values, rule *annotations.HttpRule, request protoreflect.MessageDescriptor) error {
	var violations []*adminv1.Violation
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if !takesParameter(rule, request, name) {
			violations = append(violations, &adminv1.Violation{
				Field: name, Rule: "unknown_parameter", Message: "is not a query parameter of this method",
			})
		} else if len(query[name]) > 1 {
			violations = append(violations, &adminv1.Violation{
				Field: name, Rule: "repeated_parameter", Message: "is given more than once",
			})
		}
	}
	if len(violations) == 0 {
		return nil
	}
	p := invalid(violations)
	p.kind = problemMalformed
	return p
}

func takesParameter(rule *annotations.HttpRule, request protoreflect.MessageDescriptor, name string) bool {
	if rule.GetBody() == "*" || rule.GetBody() == name || strings.Contains(pathOf(rule), "{"+name+"}") {
		return false
	}
	field := request.Fields().ByName(protoreflect.Name(name))
	if field == nil || field.IsList() || field.IsMap() {
		return false
	}
	return field.Message() == nil || field.Message().FullName() == "google.protobuf.FieldMask"
}

// pathOf is the path template of a rule.
func pathOf(rule *annotations.HttpRule) string {
	for _, path := range []string{rule.GetGet(), rule.GetPut(), rule.GetPost(), rule.GetDelete(), rule.GetPatch()} {
		if path != "" {
			return path
		}
	}
	return ""
}

// httpRules are the HTTP bindings of all methods, by full name.
func httpRules() map[string]*annotations.HttpRule {
	rules := make(map[string]*annotations.HttpRule)
	for _, descriptor := range services() {
		methods := descriptor.Methods()
		for i := range methods.Len() {
			m := methods.Get(i)
			rule, _ := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
			rules[fmt.Sprintf("/%s/%s", descriptor.FullName(), m.Name())] = rule
		}
	}
	return rules
}

// services are the descriptors of the services of the admin API.
func services() []protoreflect.ServiceDescriptor {
	var found []protoreflect.ServiceDescriptor
	for _, file := range []protoreflect.FileDescriptor{
		adminv1.File_tidegate_admin_v1_blocks_proto, adminv1.File_tidegate_admin_v1_certificates_proto, adminv1.File_tidegate_admin_v1_change_sets_proto,
		adminv1.File_tidegate_admin_v1_consumers_proto, adminv1.File_tidegate_admin_v1_fleets_proto,
		adminv1.File_tidegate_admin_v1_identity_proto, adminv1.File_tidegate_admin_v1_keys_proto,
		adminv1.File_tidegate_admin_v1_plans_proto, adminv1.File_tidegate_admin_v1_plugins_proto,
		adminv1.File_tidegate_admin_v1_tests_proto,
		adminv1.File_tidegate_admin_v1_revisions_proto, adminv1.File_tidegate_admin_v1_rollouts_proto,
		adminv1.File_tidegate_admin_v1_routes_proto, adminv1.File_tidegate_admin_v1_secrets_proto,
		adminv1.File_tidegate_admin_v1_services_proto, adminv1.File_tidegate_admin_v1_telemetry_proto,
	} {
		for i := range file.Services().Len() {
			found = append(found, file.Services().Get(i))
		}
	}
	return found
}
