package main

import "strings"

// describe adds what all operations have in common.
func describe(d *document) {
	d.Info = object{
		"title":   "Tidegate admin API",
		"version": "v1",
		"description": "Configuration, rollouts, agents and identity of Tidegate's control plane. " +
			"A write without change_set publishes at once; the answer names the revision and the rollout in headers.",
		"license": object{"name": "Apache-2.0", "identifier": "Apache-2.0"},
	}
	d.Servers = []object{{"url": "/", "description": "The control plane that serves this document."}}
	d.Security = []object{{"bearer": []any{}}, {"session": []any{}}}
	d.Components.SecuritySchemes = object{
		"bearer":  object{"type": "http", "scheme": "bearer", "description": "An admin token (tga_…)."},
		"session": object{"type": "apiKey", "in": "cookie", "name": "tidegate_session", "description": "The console's session; writes must come from the same origin."},
	}
	d.Components.Parameters = commonParameters()
	d.Components.Headers = commonHeaders()
	d.Components.Responses = object{"Problem": object{
		"description": "What went wrong (RFC 9457).",
		"content":     object{"application/problem+json": object{"schema": object{"$ref": reference + "Problem"}}},
	}}
	d.Components.Schemas["Problem"] = problemSchema()
	for _, item := range d.Paths {
		for method, operation := range item.(object) {
			describeOperation(method, operation.(object))
		}
	}
}

func describeOperation(method string, operation object) {
	service, name, _ := strings.Cut(operation["operationId"].(string), "_")
	operation["operationId"] = name
	parameters, _ := operation["parameters"].([]any)
	switch method {
	case "put", "patch", "delete":
		parameters = append(parameters, parameter("IfMatch"), parameter("IdempotencyKey"))
	case "post":
		parameters = append(parameters, parameter("IdempotencyKey"))
	}
	if len(parameters) > 0 {
		operation["parameters"] = parameters
	}
	responses := operation["responses"].(object)
	responses["default"] = object{"$ref": "#/components/responses/Problem"}
	success := responses["200"].(object)
	success["headers"] = responseHeaders(method)
	if service == "RolloutService" && name == "WatchRollout" {
		describeStream(success)
	}
	if service == "IdentityService" && name == "CreateSession" {
		operation["security"] = []any{object{}}
	}
}

// describeStream says that a streaming call answers with lines of JSON, as the gateway writes them.
func describeStream(success object) {
	content := success["content"].(object)
	media, ok := content["application/json"].(object)
	if !ok {
		for _, m := range content {
			media = m.(object)
		}
	}
	success["description"] = "One JSON object a line, each in a member \"result\"; the last may be a member \"error\"."
	success["content"] = object{"application/x-ndjson": object{"schema": object{
		"type": "object",
		"properties": object{
			"result": unwrapResult(media["schema"].(object)),
			"error":  object{"$ref": reference + "Problem"},
		},
	}}}
}

// unwrapResult finds the message in a schema that may already be wrapped in {result, error}.
func unwrapResult(schema object) object {
	properties, ok := schema["properties"].(object)
	if !ok {
		return schema
	}
	if result, ok := properties["result"].(object); ok {
		return result
	}
	return schema
}

func responseHeaders(method string) object {
	headers := object{
		"X-Request-Id": object{"$ref": "#/components/headers/RequestId"},
		"ETag":         object{"$ref": "#/components/headers/ETag"},
	}
	if method != "get" {
		headers["Tidegate-Revision"] = object{"$ref": "#/components/headers/Revision"}
		headers["Tidegate-Rollout"] = object{"$ref": "#/components/headers/Rollout"}
	}
	return headers
}

func parameter(name string) object {
	return object{"$ref": "#/components/parameters/" + name}
}

func commonParameters() object {
	text := object{"type": "string", "maxLength": 255}
	return object{
		"IfMatch": object{
			"name": "If-Match", "in": "header", "schema": text,
			"description": "The etag that was read. If the resource has changed since, nothing is done and the answer is 412.",
		},
		"IdempotencyKey": object{
			"name": "Idempotency-Key", "in": "header", "schema": text,
			"description": "Any string, such as a UUID. The same key with the same request has one effect and gets the same answer; with another request it is refused with 422.",
		},
	}
}

func commonHeaders() object {
	text := object{"type": "string"}
	return object{
		"ETag":      object{"schema": text, "description": "The version of the resource, for If-Match."},
		"RequestId": object{"schema": text, "description": "The id of the request, in logs and in the audit too."},
		"Revision":  object{"schema": text, "description": "The revision that the write made, if it published one."},
		"Rollout":   object{"schema": text, "description": "The rollout that carries that revision."},
	}
}

func problemSchema() object {
	text := func(description string) object { return object{"type": "string", "description": description} }
	number := func(description string) object {
		return object{"type": "integer", "format": "int32", "description": description}
	}
	return object{
		"type": "object", "description": "Problem is an error, as RFC 9457 has it.",
		"required": []any{"type", "title", "status", "request_id"},
		"properties": object{
			"type":       text("A URL that names the kind of problem and never changes."),
			"title":      text("The kind of problem, in words."),
			"status":     number("The HTTP status."),
			"detail":     text("What went wrong this time."),
			"request_id": text("The id of the request, in logs and in the audit too."),
			"violations": object{
				"type": "array", "description": "Every reason for which the request was refused.",
				"items": object{
					"type": "object", "required": []any{"rule", "message"},
					"properties": object{
						"resource": text("Such as routes/orders."),
						"field":    text("The path of the field, such as spec.match.paths[0]."),
						"rule":     text("A stable name of the rule."),
						"message":  text("What is wrong."),
						"line":     number("Where it stands in the text that was sent."),
						"column":   number("Where it stands in the line."),
					},
				},
			},
		},
	}
}
