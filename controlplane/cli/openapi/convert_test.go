package openapi_test

import (
	"bytes"
	"strings"
	"testing"

	"tidegate.dev/controlplane/cli/declarative"
	"tidegate.dev/controlplane/cli/openapi"
)

const petstore = `openapi: 3.1.0
servers:
  - url: https://{zone}.example.com/v2/
    variables: {zone: {default: eu}}
paths:
  /pets:
    get: {operationId: listPets, responses: {200: {description: ok}}}
    post: {operationId: "pets/create"}
  /pets/{pet-id}:
    parameters: [{name: pet-id, in: path}]
    get: {operationId: "pets/create"}
    delete: {}
  /pets/{id}:
    get: {operationId: same-place}
  /files/{path}:
    get:
      operationId: get-file
      parameters: [{$ref: "#/components/parameters/path"}]
  /refs/{ref}/status:
    get:
      operationId: get-status
      parameters: [{name: ref, in: path, x-multi-segment: true}, {name: q, in: query, x-multi-segment: true}]
  /compare/{base}...{head}:
    get: {operationId: compare}
  /elsewhere:
    $ref: other.yaml
components:
  parameters:
    path: {name: path, in: path, x-multi-segment: true}
`

func TestConvertMakesARouteForEachOperation(t *testing.T) {
	t.Parallel()
	result, err := openapi.Convert([]byte(petstore), openapi.Options{Service: "pets", Prefix: "/shop/"})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := declarative.Write(&out, "", result.Resources); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range result.Resources[1:] {
		match := r.GetRoute().GetMatch()
		got = append(got, r.GetName()+" "+match.GetMethods()[0]+" "+strings.Join(match.GetPaths(), " "))
	}
	want := []string{
		`compare GET ~/shop/compare/[^/]+\.\.\.[^/]+`,
		"get-file GET /shop/files/{path} /shop/files/{path}/**",
		"list-pets GET /shop/pets",
		"pets-create POST /shop/pets",
		"same-place GET /shop/pets/{id}",
		"delete-pets-pet-id DELETE /shop/pets/{pet_id}",
		"get-status GET /shop/refs/{ref}/status",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("routes:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if url := result.Resources[0].GetService().GetUrl(); url != "https://eu.example.com/v2" {
		t.Errorf("service at %s", url)
	}
	notes := []string{
		"GET /compare/{base}...{head}: a parameter is part of a segment: a regular expression of priority 1 matches it",
		"/elsewhere: it refers to other.yaml, which is not in the description; no routes were made",
		"GET /pets/{pet-id}: no route was made: it matches the same requests as GET /pets/{id}",
		"GET /refs/{ref}/status: {ref} may hold slashes but does not end the path: only values of one segment match",
	}
	if strings.Join(result.Notes, "\n") != strings.Join(notes, "\n") {
		t.Errorf("notes:\n%s", strings.Join(result.Notes, "\n"))
	}
	if result.Operations != 8 {
		t.Errorf("%d operations", result.Operations)
	}
	set, err := declarative.Parse("out.yaml", out.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if err := set.Check(); err != nil {
		t.Errorf("what it made breaks rules: %v", err)
	}
}

func TestWhereTheServiceIs(t *testing.T) {
	t.Parallel()
	cases := []struct{ servers, url, want string }{
		{`[{"url":"https://api.example.com/v1"}]`, "", "https://api.example.com/v1"},
		{`[{"url":"https://api.example.com/v1"}]`, "http://127.0.0.1:9001", "http://127.0.0.1:9001/v1"},
		{`[{"url":"https://api.example.com/v1"}]`, "http://127.0.0.1:9001/v9", "http://127.0.0.1:9001/v9"},
		{`[{"url":"/api/v3"}]`, "http://127.0.0.1:9001", "http://127.0.0.1:9001/api/v3"},
		{`[]`, "http://127.0.0.1:9001/", "http://127.0.0.1:9001"},
		{`[{"url":"/api/v3"}]`, "", "error"},
		{`[]`, "127.0.0.1", "error"},
	}
	for _, c := range cases {
		result, err := openapi.Convert([]byte(`{"openapi":"3.0.3","servers":`+c.servers+`,"paths":{"/a":{"get":{}}}}`),
			openapi.Options{Service: "s", URL: c.url})
		got := "error"
		if err == nil {
			got = result.Resources[0].GetService().GetUrl()
		}
		if got != c.want {
			t.Errorf("servers %s and --url %q: %s, want %s (%v)", c.servers, c.url, got, c.want, err)
		}
	}
}

func TestWhatIsNoDescription(t *testing.T) {
	t.Parallel()
	for _, content := range []string{
		"", "{", "[]", "a: b", `{"swagger":"2.0","paths":{"/a":{}}}`, `{"openapi":"3.0.0"}`, `{"openapi":"3.0.0","paths":{"/a":{}}}`,
		"openapi: 3.0.0\npaths: [\n",
	} {
		if _, err := openapi.Convert([]byte(content), openapi.Options{Service: "s", URL: "http://a"}); err == nil {
			t.Errorf("%q is taken", content)
		}
	}
}

func FuzzConvert(f *testing.F) {
	f.Add([]byte(petstore))
	f.Add([]byte(`{"openapi":"3.0.3","servers":[{"url":"https://a"}],"paths":{"/{a}{b}/c.{d}":{"get":{"operationId":"X y"}},"/%2A":{"put":{}}}}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		result, err := openapi.Convert(content, openapi.Options{Service: "s", URL: "http://127.0.0.1:1"})
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := declarative.Write(&out, "", result.Resources); err != nil {
			t.Fatal(err)
		}
		if _, err := declarative.Parse("out.yaml", out.Bytes()); err != nil {
			t.Fatalf("what it made cannot be read: %v\n%s", err, out.String())
		}
	})
}
