package admin

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"tidegate.dev/controlplane/identity"
)

func TestEveryMethodHasItsRuleAndOnlyThose(t *testing.T) {
	t.Parallel()
	table, known := methods(), httpRules()
	for name, rule := range known {
		m, ok := table[name]
		if !ok {
			t.Errorf("%s is open to nobody: it has no entry in the table of methods", name)
			continue
		}
		if m.role == identity.Nobody && name != "/tidegate.admin.v1.IdentityService/CreateSession" {
			t.Errorf("%s is open to everybody", name)
		}
		if rule.GetGet() != "" && m.action != "" {
			t.Errorf("%s is a GET that changes something", name)
		}
		if (rule.GetPut() != "" || rule.GetPatch() != "" || rule.GetDelete() != "") && m.action == "" {
			t.Errorf("%s changes something and leaves no audit row", name)
		}
	}
	for name := range table {
		if _, ok := known[name]; !ok {
			t.Errorf("the table has %s, which is no method", name)
		}
	}
	if len(known) < 80 {
		t.Errorf("only %d methods were found: is a file of the schema missing in services()?", len(known))
	}
}

func TestTheOpenAPIDocumentHasEveryMethod(t *testing.T) {
	t.Parallel()
	var document struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			OperationID string `json:"operationId"`
		}
	}
	if err := json.Unmarshal(openAPI, &document); err != nil {
		t.Fatal(err)
	}
	for name, rule := range httpRules() {
		operation := document.Paths[pathOf(rule)][strings.ToLower(methodOf(rule))]
		if want := name[strings.LastIndex(name, "/")+1:]; operation.OperationID != want {
			t.Errorf("%s %s is %q, want %s", methodOf(rule), pathOf(rule), operation.OperationID, want)
		}
	}
	if document.OpenAPI != "3.1.0" {
		t.Errorf("openapi %s", document.OpenAPI)
	}
}

func TestProblemTypesAreUnique(t *testing.T) {
	t.Parallel()
	slugs := map[string]bool{}
	for _, kind := range problemTypes() {
		if slugs[kind.slug] || kind.title == "" || kind.status < 400 {
			t.Errorf("%+v", kind)
		}
		slugs[kind.slug] = true
	}
}

func TestAProblemSurvivesItsWayAsAStatus(t *testing.T) {
	t.Parallel()
	for _, kind := range problemTypes() {
		sent := invalidField("spec.url", "rule", "message")
		sent.kind, sent.requestID, sent.retryAfter = kind, "id", retrySoon
		got := problemOf(sent.GRPCStatus().Err())
		if got.kind != kind || got.requestID != "id" || got.retryAfter != retrySoon || len(got.violations) != 1 {
			t.Errorf("%s became %+v", kind.slug, got)
		}
	}
}

func TestPageTokensAreOpaqueAndOurs(t *testing.T) {
	t.Parallel()
	shown, next := page([]int{1, 2, 3}, 2, func(n int) string { return fmt.Sprint(n) })
	if len(shown) != 2 || next == "" || next == "2" {
		t.Errorf("page = %v, %q", shown, next)
	}
	if after, err := pageStart(next); err != nil || after != "2" {
		t.Errorf("pageStart = %q, %v", after, err)
	}
	if _, last := page([]int{1, 2}, 2, func(n int) string { return fmt.Sprint(n) }); last != "" {
		t.Errorf("the last page has no next: %q", last)
	}
	for _, bad := range []string{"2", "!", "Zm9v"} {
		if _, err := pageStart(bad); err == nil {
			t.Errorf("%q is no token of ours", bad)
		}
	}
}

func FuzzPageStart(f *testing.F) {
	for _, seed := range []string{"", "MTox", pageToken("orders"), "!", strings.Repeat("A", 5000)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		if after, err := pageStart(token); err == nil && token != "" && pageToken(after) != token {
			// Base64 leaves bits that mean nothing; whatever is taken must at least read the same again.
			if again, err := pageStart(pageToken(after)); err != nil || again != after {
				t.Errorf("%q reads as %q, and then as %q, %v", token, after, again, err)
			}
		}
	})
}

func FuzzParseFilter(f *testing.F) {
	for _, seed := range []string{"", "state=running", `actor="a" AND fleet=b`, "a=b=c", " AND ", "=x", "state="} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, filter string) {
		terms, err := parseFilter(filter, "state", "actor")
		for field := range terms {
			if field != "state" && field != "actor" {
				t.Errorf("%q gave %v, %v", filter, terms, err)
			}
		}
	})
}
