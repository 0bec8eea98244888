package config_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tidegate.dev/controlplane/config"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func (b *bench) policy(policy *configv1.FleetPolicy) {
	b.t.Helper()
	if err := b.SetPolicy(b.t.Context(), fleet, policy); err != nil {
		b.t.Fatal(err)
	}
}

// publish publishes a change set.
func (b *bench) publish(id string, options config.PublishOptions) (config.Published, error) {
	b.t.Helper()
	return b.PublishChangeSet(b.t.Context(), actor, fleet, id, "", "", options)
}

func TestRiskSaysHowMuchCanGoWrong(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name   string
		edits  []string
		want   string
		reason string
	}{
		{"something new", []string{`services/new {"url":"http://n"}`}, "low", ""},
		{"a change", []string{`services/orders {"url":"http://other"}`}, "medium", "changes services/orders"},
		{"a deletion", []string{"-routes/orders"}, "high", "deletes routes/orders"},
		{"authentication", []string{`plugins/auth {"type":"key-auth","scope":{"route":"orders"}}`}, "high", "changes who may call: plugins/auth"},
		{"a policy for all", []string{`plugins/limit {"type":"rate-limit","config":{"requests":1,"per":"1s"}}`}, "high", "plugins/limit holds for the whole fleet"},
		{"a route for all", []string{`routes/all {"service":"orders","match":{"paths":["/**"]}}`}, "high", "routes/all holds for the whole fleet"},
		{"the fast lane alone", []string{`consumers/acme {}`}, "low", ""},
	}
	for _, each := range cases {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.apply(ordersService, ordersRoute)
			set := b.draft(each.edits...)
			review, err := b.ValidateChangeSet(t.Context(), fleet, set.ID)
			if err != nil {
				t.Fatal(err)
			}
			if review.Risk.Class.String() != each.want || each.reason != "" && !slices.Contains(review.Risk.Reasons, each.reason) {
				t.Errorf("risk %s %q, want %s because %q", review.Risk.Class, review.Risk.Reasons, each.want, each.reason)
			}
		})
	}
}

func TestARiskyChangeNeedsOthersWord(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.apply(ordersService, ordersRoute)
	b.policy(&configv1.FleetPolicy{Approvals: &configv1.Approvals{Medium: 1, High: 2}})
	set := b.draft("-routes/orders")
	var unapproved *config.NotApproved
	if _, err := b.publish(set.ID, config.PublishOptions{}); !errors.As(err, &unapproved) || unapproved.Required != 2 || unapproved.ChangeSet != set.ID {
		t.Fatalf("publishing: %v, want NotApproved by 2", err)
	}
	var own *config.OwnChange
	if _, err := b.ApproveChangeSet(t.Context(), actor, fleet, set.ID, "", ""); !errors.As(err, &own) {
		t.Errorf("its author approves: %v, want OwnChange", err)
	}
	for _, approver := range []string{"grace", "alan"} {
		if _, err := b.ApproveChangeSet(t.Context(), approver, fleet, set.ID, "looks good", ""); err != nil {
			t.Fatal(err)
		}
	}
	if set, err := b.ChangeSet(t.Context(), fleet, set.ID); err != nil || len(set.Approvals) != 2 || set.Required != 2 || set.Risk.Class != config.RiskHigh {
		t.Errorf("the draft is %+v (%v)", set, err)
	}
	if _, err := b.EditChangeSet(t.Context(), "alan", fleet, set.ID, b.edits(`services/new {"url":"http://n"}`), ""); err != nil {
		t.Fatal(err)
	}
	if _, err := b.publish(set.ID, config.PublishOptions{}); !errors.As(err, &unapproved) || unapproved.Approvals != 0 {
		t.Errorf("after an edit: %v, want that all approvals are gone", err)
	}
	if _, err := b.ApproveChangeSet(t.Context(), "alan", fleet, set.ID, "", ""); !errors.As(err, &own) {
		t.Errorf("an editor approves: %v, want OwnChange", err)
	}
	for _, approver := range []string{"grace", "edsger"} {
		if _, err := b.ApproveChangeSet(t.Context(), approver, fleet, set.ID, "", ""); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.publish(set.ID, config.PublishOptions{}); err != nil {
		t.Errorf("approved by two others: %v", err)
	}
}

func TestWithoutAChangeSetNobodyCanApprove(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.apply(ordersService, ordersRoute)
	b.policy(&configv1.FleetPolicy{Approvals: &configv1.Approvals{Medium: 1, High: 1}})
	var unapproved *config.NotApproved
	if _, err := b.try(`services/orders {"url":"http://other"}`); !errors.As(err, &unapproved) || !strings.Contains(err.Error(), "--draft") {
		t.Errorf("a file that changes: %v, want NotApproved and what to do", err)
	}
	if _, err := b.try(`services/new {"url":"http://n"}`); err != nil {
		t.Errorf("a file that only adds: %v", err)
	}
	if _, err := b.try(`consumers/acme {}`); err != nil {
		t.Errorf("the fast lane: %v", err)
	}
	applied, err := b.Apply(t.Context(), actor, fleet, config.ApplyOptions{Resources: b.resources(`services/orders {"url":"http://other"}`), DraftOnly: true})
	if err != nil || applied.ChangeSet == nil || applied.Published != nil || applied.Required != 1 || len(applied.ChangeSet.Edits) != 1 {
		t.Fatalf("as a draft: %+v, %v", applied, err)
	}
	if _, err := b.ApproveChangeSet(t.Context(), "grace", fleet, applied.ChangeSet.ID, "", ""); err != nil {
		t.Fatal(err)
	}
	if published, err := b.publish(applied.ChangeSet.ID, config.PublishOptions{}); err != nil || published.Revision != 3 {
		t.Errorf("published %+v, %v; want revision 3", published, err)
	}
}

func TestNothingIsPublishedInAFreezeWindow(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.apply(ordersService, ordersRoute)
	start, end := time.Now().Add(-time.Hour).Format(time.RFC3339), time.Now().Add(time.Hour).Format(time.RFC3339)
	b.policy(&configv1.FleetPolicy{FreezeWindows: []*configv1.FreezeWindow{{Name: "the sale", Start: &start, End: &end}}})
	var frozen *config.Frozen
	if _, err := b.try(`services/new {"url":"http://n"}`); !errors.As(err, &frozen) || frozen.Window != "the sale" {
		t.Errorf("a publish: %v, want Frozen", err)
	}
	if _, err := b.try(`consumers/acme {}`); err != nil {
		t.Errorf("the fast lane: %v", err)
	}
	if _, err := b.Rollback(t.Context(), actor, fleet, 1, ""); err != nil {
		t.Errorf("a rollback: %v", err)
	}
	resources := b.resources(`services/new {"url":"http://n"}`)
	override := config.ApplyOptions{Resources: resources, Options: config.PublishOptions{OverrideFreeze: true}}
	if _, err := b.Apply(t.Context(), actor, fleet, override); err == nil || !strings.Contains(rules(t, err), "options.reason") {
		t.Errorf("without a reason: %v", err)
	}
	override.Options.Reason = "the checkout is down"
	applied, err := b.Apply(t.Context(), actor, fleet, override)
	if err != nil {
		t.Fatalf("with a reason: %v", err)
	}
	if made, err := b.Revision(t.Context(), fleet, applied.Published.Revision); err != nil || !strings.Contains(made.Message, "the checkout is down") {
		t.Errorf("the revision says %q (%v), want the reason in it", made.Message, err)
	}
}

func TestAnEmergencySkipsApprovalsAndStepsButNeverValidation(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.apply(ordersService, ordersRoute)
	b.policy(&configv1.FleetPolicy{Approvals: &configv1.Approvals{Low: 3, Medium: 3, High: 3}})
	emergency := config.PublishOptions{Emergency: true, Reason: "it burns"}
	broken := config.ApplyOptions{Resources: b.resources(`routes/x {"service":"missing","match":{"paths":["/x"]}}`), Options: emergency}
	if _, err := b.Apply(t.Context(), actor, fleet, broken); err == nil || !strings.Contains(rules(t, err), "reference.missing") {
		t.Errorf("a route to nowhere: %v", err)
	}
	if _, err := b.publish(b.draft("-routes/orders").ID, emergency); err != nil {
		t.Errorf("an emergency: %v", err)
	}
}

func TestManyDeletesMustBeMeant(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var routes, deletes []string
	for i := range 12 {
		routes = append(routes, fmt.Sprintf(`routes/r%d {"service":"orders","match":{"paths":["/r%d"]}}`, i, i))
		deletes = append(deletes, fmt.Sprintf("-routes/r%d", i))
	}
	b.apply(append(routes, ordersService)...)
	set := b.draft(deletes[:10]...)
	if _, err := b.publish(set.ID, config.PublishOptions{}); err == nil || !strings.Contains(rules(t, err), "deletes.many") {
		t.Errorf("10 of 12 routes: %v", err)
	}
	if _, err := b.publish(set.ID, config.PublishOptions{AllowDeletes: true}); err != nil {
		t.Errorf("10 of 12 routes, as meant: %v", err)
	}
}

func TestAPolicyIsCheckedFieldByField(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	text := func(s string) *string { return &s }
	for name, policy := range map[string]*configv1.FleetPolicy{
		"policy.approvals.high":    {Approvals: &configv1.Approvals{High: 11}},
		"policy.newer_revision":    {NewerRevision: "never"},
		"policy.freeze_windows[0]": {FreezeWindows: []*configv1.FreezeWindow{{Name: "x", Start: text("tomorrow"), End: text("later")}}},
	} {
		if err := b.SetPolicy(t.Context(), fleet, policy); err == nil || !strings.Contains(rules(t, err), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	zone := &configv1.FreezeWindow{Name: "x", Days: []string{"mon"}, From: "08:00", To: "09:00", TimeZone: "Mars/Olympus"}
	if err := b.SetPolicy(t.Context(), fleet, &configv1.FleetPolicy{FreezeWindows: []*configv1.FreezeWindow{zone}}); err == nil {
		t.Error("a time zone on Mars is accepted")
	}
}

func TestWhatAChangeMeansToBringAbout(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.apply(ordersService, ordersRoute)
	set := b.draft(`plugins/auth {"type":"key-auth","scope":{"route":"orders"}}`)
	wanted := []*configv1.Expectation{{Route: "orders", Reason: "key_missing", MaxPercent: 5}}
	set, err := b.ExpectOfChangeSet(t.Context(), actor, fleet, set.ID, wanted, set.ETag)
	if err != nil || len(set.Expectations) != 1 || set.Expectations[0].GetMaxPercent() != 5 {
		t.Fatalf("the draft is %+v (%v)", set, err)
	}
	for name, wrong := range map[string][]*configv1.Expectation{
		"expectations[0].max_percent": {{Route: "orders", Reason: "key_missing"}},
		"expectations[1]":             {wanted[0], wanted[0]},
	} {
		if _, err := b.ExpectOfChangeSet(t.Context(), actor, fleet, set.ID, wrong, ""); err == nil || !strings.Contains(rules(t, err), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := b.publish(set.ID, config.PublishOptions{}); err != nil {
		t.Error(err)
	}
}
