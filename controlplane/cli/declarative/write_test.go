package declarative_test

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/controlplane/cli/declarative"
)

func TestWriteWritesWhatParseReads(t *testing.T) {
	t.Parallel()
	set, err := declarative.Parse("shop.yaml", []byte(shop))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := declarative.Write(&out, "default", set.Messages()); err != nil {
		t.Fatal(err)
	}
	const want = `fleet: default
services:
  - name: orders
    url: http://127.0.0.1:9001
    timeouts:
      connect: 250ms
routes:
  - name: orders
    labels:
      example.com/tier: "1"
      team: shop
    service: orders
    match:
      paths: ["/orders/{id}", "/orders/**"]
      methods: [GET, POST]
    priority: -3
    max_request_bytes: 5000000000
plugins:
  - name: orders-auth
    type: key-auth
    scope:
      route: orders
  - name: orders-limit
    type: rate-limit
    scope:
      route: orders
    config:
      by: consumer
      per: 1s
      requests: 100
plans:
  - name: gold
    limits:
      - requests: 10000
        per: 1h
consumers:
  - name: acme
    plan: gold
`
	if out.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", out.String(), want)
	}
	again, err := declarative.Parse("again.yaml", out.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	requireSame(t, set, again)
}

func TestStringsThatLookLikeOthersSurvive(t *testing.T) {
	t.Parallel()
	for _, value := range []string{
		"1", "true", "null", "~", "", " a ", "a: b", "# no comment", "1e3", "0x1f", "yes", "2027-01-31T00:00:00Z", "2027-01-31",
		"é", "line\nbreak\n", "\ttab", "'", `"`, "*a", "&a", "!a", "- a", "<<", "\u2028", "\u0085", "\x01", ".inf", "-----BEGIN\n a\n",
	} {
		set, err := declarative.Parse("f.yaml", []byte("consumers: [{name: a}]\n"))
		if err != nil {
			t.Fatal(err)
		}
		set.Resources[0].Value.GetConsumer().DisplayName = value
		var out bytes.Buffer
		if err := declarative.Write(&out, "", set.Messages()); err != nil {
			t.Fatal(err)
		}
		again, err := declarative.Parse("again.yaml", out.Bytes())
		if err != nil {
			t.Errorf("%q is written as\n%s\nwhich cannot be read: %v", value, out.String(), err)
			continue
		}
		if got := again.Resources[0].Value.GetConsumer().GetDisplayName(); got != value {
			t.Errorf("%q is read back as %q from\n%s", value, got, out.String())
		}
	}
}

// FuzzParse holds the reader to this: it never panics, and what it accepts survives being written and read again.
func FuzzParse(f *testing.F) {
	f.Add([]byte(shop))
	f.Add([]byte("services: &a [{name: a, url: http://b}]\nroutes: *a\n"))
	f.Add([]byte("plugins: [{name: a, type: b, config: {c: [1, 2.5, true, x, {y: []}]}}]\n"))
	f.Add([]byte("fleet: a\n---\nconsumers:\n  - name: \"\\u2028\"\n    display_name: |\n      x\n"))
	f.Add([]byte("secrets: [{name: a, value: !!binary aGk=}]\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		set, err := declarative.Parse("f.yaml", content)
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := declarative.Write(&out, set.Fleet, set.Messages()); err != nil {
			t.Fatal(err)
		}
		again, err := declarative.Parse("again.yaml", out.Bytes())
		if err != nil {
			t.Fatalf("%v\nin what was written:\n%s", err, out.String())
		}
		requireSame(t, set, again)
	})
}

func requireSame(t *testing.T, one, other *declarative.Set) {
	t.Helper()
	if one.Fleet != other.Fleet || len(one.Resources) != len(other.Resources) {
		t.Fatalf("fleet %q with %d resources became %q with %d", one.Fleet, len(one.Resources), other.Fleet, len(other.Resources))
	}
	for _, r := range one.Resources {
		back, ok := other.Find(r.Reference())
		if !ok || !proto.Equal(r.Value, back.Value) {
			t.Errorf("%s: %v became %v", r.Reference(), r.Value, back.Value)
		}
	}
}
