package snapshot

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"tidegate.dev/dataplane/plugin"
	"tidegate.dev/proto/revision"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// defaultTestClient is an address that is nobody's (RFC 5737).
var defaultTestClient = netip.MustParseAddr("192.0.2.1")

// configTest is a request and what must be decided about it.
type configTest struct {
	question Question
	consumer string
	expect   *configv1.TestExpectation
}

func (c *compilation) readTest(resource revision.Resource) {
	var spec configv1.Test
	if !c.decode(resource, &spec) {
		return
	}
	name := resource.Key.String()
	question, err := questionOf(spec.GetRequest().GetMethod(), spec.GetRequest().GetUrl())
	if err != nil {
		c.fail(name, "request.url", CodeCompile, "is not a URL")
		return
	}
	for field, value := range spec.GetRequest().GetHeaders() {
		question.Header.Set(field, value)
	}
	question.Client = defaultTestClient
	if text := spec.GetRequest().GetClientAddress(); text != "" {
		if question.Client, err = netip.ParseAddr(text); err != nil {
			c.fail(name, "request.client_address", CodeCompile, "is not an address")
			return
		}
	}
	c.next.tests[resource.Name] = &configTest{question: question, consumer: spec.GetRequest().GetConsumer(), expect: spec.GetExpect()}
}

// Test asks the snapshot what its tests ask. The error is an *[Error] that names each test that is answered otherwise.
func (s *Snapshot) Test() error {
	var failures []ResourceError
	for _, name := range slices.Sorted(maps.Keys(s.tests)) {
		for field, message := range s.tests[name].run(s) {
			failures = append(failures, ResourceError{Resource: "tests/" + name, Field: field, Code: CodeTest, Message: message})
		}
	}
	if len(failures) == 0 {
		return nil
	}
	return &Error{Errors: failures}
}

// run returns what is answered otherwise, by the field of the test.
func (t *configTest) run(s *Snapshot) map[string]string {
	question := t.question
	if t.consumer != "" {
		question.Caller = plugin.Caller{Consumer: t.consumer}
		if consumer, known := s.lane.Consumer(t.consumer); known {
			question.Caller.Plan = consumer.Plan
		}
	}
	got := s.Decide(question)
	wrong := map[string]string{}
	if want := t.expect.GetRoute(); want != "" && got.Route != want {
		wrong["expect.route"] = fmt.Sprintf("the route is %s, not %q", orNone(got.Route), want)
	}
	if want := t.expect.GetService(); want != "" && !got.answeredBy(want) {
		wrong["expect.service"] = fmt.Sprintf("%s answers, not %q", orNone(strings.Join(got.Services, " or ")), want)
	}
	if want := t.expect.GetReason(); want != "" && want != reasonName(got.Reason) {
		wrong["expect.reason"] = fmt.Sprintf("the reason is %s, not %q", orNone(got.Reason.String()), want)
	}
	if want := int(t.expect.GetStatus()); want != 0 && got.Status != want {
		answer := "the gateway does not answer by itself"
		if got.Status != 0 {
			answer = fmt.Sprintf("the status is %d", got.Status)
		}
		wrong["expect.status"] = fmt.Sprintf("%s, not %d", answer, want)
	}
	return wrong
}

// noReason is how a test says that the gateway does not refuse.
const noReason = "none"

func reasonName(reason plugin.Reason) string {
	if reason == plugin.ReasonNone {
		return noReason
	}
	return reason.String()
}

func orNone(name string) string {
	if name == "" {
		return "none"
	}
	return `"` + name + `"`
}
