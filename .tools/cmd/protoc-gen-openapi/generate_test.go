package main

import (
	"encoding/json"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

const routes = `{"openapi":"3.1.0","tags":[{"name":"RouteService"}],
 "paths":{"/v1/routes":{"get":{"operationId":"RouteService_ListRoutes","responses":{"200":{}}}}},
 "components":{"schemas":{
   "tidegate.admin.v1.Route":{"properties":{"spec":{"$ref":"#/components/schemas/tidegate.config.v1.Route"}}},
   "tidegate.config.v1.Route":{"properties":{"match":{"$ref":"#/components/schemas/tidegate.config.v1.Match"}}},
   "tidegate.config.v1.Match":{}}}}`

const moreRoutes = `{"openapi":"3.1.0","tags":[{"name":"AgentService"}],
 "paths":{"/v1/routes":{"post":{"operationId":"RouteService_CreateRoute","responses":{"200":{}}}}},
 "components":{"schemas":{"tidegate.config.v1.Match":{}}}}`

func TestFragmentsBecomeOneDocument(t *testing.T) {
	d := merged(t)
	methods := d.Paths["/v1/routes"].(object)
	if methods["get"] == nil || methods["post"] == nil {
		t.Errorf("both methods of one path must stay: %v", methods)
	}
	if d.Tags[0]["name"] != "AgentService" {
		t.Errorf("tags must be sorted: %v", d.Tags)
	}
}

func TestNamesAreShortAndSpecsAreToldFromResources(t *testing.T) {
	d := merged(t)
	shortenNames(d)
	for _, want := range []string{"Route", "RouteSpec", "Match"} {
		if d.Components.Schemas[want] == nil {
			t.Errorf("no schema %s", want)
		}
	}
	text, err := encode(d)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text, `"$ref": "#/components/schemas/RouteSpec"`) || strings.Contains(text, "tidegate.config.v1") {
		t.Errorf("references must follow the new names:\n%s", text)
	}
}

func TestWritesCarryTheirHeadersAndEveryOperationItsProblem(t *testing.T) {
	d := merged(t)
	describe(d)
	methods := d.Paths["/v1/routes"].(object)
	post, get := methods["post"].(object), methods["get"].(object)
	if post["operationId"] != "CreateRoute" {
		t.Errorf("operationId = %v", post["operationId"])
	}
	if encoded, _ := json.Marshal(post["parameters"]); !strings.Contains(string(encoded), "IdempotencyKey") {
		t.Errorf("a write takes an Idempotency-Key: %s", encoded)
	}
	if get["parameters"] != nil {
		t.Errorf("a read takes none: %v", get["parameters"])
	}
	for name, operation := range methods {
		if operation.(object)["responses"].(object)["default"] == nil {
			t.Errorf("%s has no problem document", name)
		}
	}
}

func TestJSONNamesOfOurFieldsAreTheirOwnNames(t *testing.T) {
	file := func(pkg string) *descriptorpb.FileDescriptorProto {
		return &descriptorpb.FileDescriptorProto{Package: proto.String(pkg), MessageType: []*descriptorpb.DescriptorProto{{
			Field: []*descriptorpb.FieldDescriptorProto{{Name: proto.String("page_size"), JsonName: proto.String("pageSize")}},
		}}}
	}
	ours, theirs := file("tidegate.admin.v1"), file("google.api")
	useFieldNames([]*descriptorpb.FileDescriptorProto{ours, theirs})
	if got := ours.MessageType[0].Field[0].GetJsonName(); got != "page_size" {
		t.Errorf("ours: %s", got)
	}
	if got := theirs.MessageType[0].Field[0].GetJsonName(); got != "pageSize" {
		t.Errorf("theirs must stay: %s", got)
	}
}

func merged(t *testing.T) *document {
	t.Helper()
	d, err := merge([]string{routes, moreRoutes})
	if err != nil {
		t.Fatal(err)
	}
	return d
}
