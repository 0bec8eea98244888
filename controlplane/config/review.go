package config

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/controlplane/store"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// PublishOptions are what a publish may ask for, or must say that it means.
type PublishOptions struct {
	// AllowDeletes lets it delete more routes than the fleet's policy lets pass unsaid.
	AllowDeletes bool
	// OverrideFreeze lets it out in a freeze window.
	OverrideFreeze bool
	// Emergency skips steps, approvals and freeze windows, and never validation.
	Emergency bool
	// Reason says why, and must be given with OverrideFreeze and Emergency.
	Reason string
	// Expectations are what the change means to change. Those of a change set are its own.
	Expectations []*configv1.Expectation
}

func (o PublishOptions) check() error {
	if (o.OverrideFreeze || o.Emergency) && strings.TrimSpace(o.Reason) == "" {
		return refusedField("options.reason", ruleRequired, "say why: override_freeze and emergency need a reason")
	}
	return nil
}

// note adds to a revision's message what was out of the ordinary.
func (o PublishOptions) note(message string) string {
	switch {
	case o.Emergency:
		message += "\n\nemergency: " + o.Reason
	case o.OverrideFreeze:
		message += "\n\nin a freeze window: " + o.Reason
	}
	return strings.TrimSpace(message)
}

// Rules of review.
const (
	ruleFreeze      = "freeze_window"
	ruleManyDeletes = "deletes.many"
	ruleExpectation = "expectation"
)

// Frozen says that nothing is published now. Nothing was changed.
type Frozen struct {
	Window string
	Until  time.Time
}

// Error says what to do.
func (e *Frozen) Error() string {
	return fmt.Sprintf("nothing is published in the freeze window %q, which ends %s; an administrator can override it with a reason",
		e.Window, e.Until.UTC().Format(time.RFC3339))
}

// NotApproved says that others must have read a change before it is published. Nothing was changed.
type NotApproved struct {
	// ChangeSet is empty if the change is not in one.
	ChangeSet           string
	Risk                Risk
	Required, Approvals int
}

// Error says what to do.
func (e *NotApproved) Error() string {
	text := fmt.Sprintf("this change is of %s risk (%s) and needs %d approvals by others than its authors; it has %d",
		e.Risk.Class, strings.Join(e.Risk.Reasons, "; "), e.Required, e.Approvals)
	if e.ChangeSet == "" {
		text += ". Put it in a change set (tidegate apply --draft, or ?change_set=ID) and have it approved"
	}
	return text
}

// OwnChange says that somebody who edited a change set wants to approve it.
type OwnChange struct{ ID, Actor string }

// Error says who.
func (e *OwnChange) Error() string {
	return fmt.Sprintf("%s edited change set %s and so cannot approve it", e.Actor, e.ID)
}

// Review is what people look at before they approve.
type Review struct {
	Violations *Violations
	Warnings   []Warning
	Risk       Risk
	// Required is how many approvals the fleet asks for.
	Required int
}

// ApproveChangeSet notes that somebody other than its authors wants the change set as it is now. *OwnChange: it is one of them.
func (s *Service) ApproveChangeSet(ctx context.Context, actor, fleet, id, comment, ifMatch string) (ChangeSet, error) {
	var approved ChangeSet
	err := s.changeSet(ctx, fleet, id, ifMatch, func(tx *store.Tx, _ store.Fleet, _ store.Head, set store.ChangeSet) error {
		if slices.Contains(set.Editors, actor) {
			return &OwnChange{ID: id, Actor: actor}
		}
		if err := tx.Approve(ctx, set.ID, actor, comment); err != nil {
			return err
		}
		var err error
		approved, err = s.withEdits(ctx, tx, set)
		return err
	})
	return approved, err
}

// ExpectOfChangeSet says what a draft means to change, in place of what it said before. It counts as an edit.
func (s *Service) ExpectOfChangeSet(ctx context.Context, actor, fleet, id string, expectations []*configv1.Expectation, ifMatch string) (ChangeSet, error) {
	encoded, err := encodeExpectations(expectations)
	if err != nil {
		return ChangeSet{}, err
	}
	var saved ChangeSet
	err = s.changeSet(ctx, fleet, id, ifMatch, func(tx *store.Tx, _ store.Fleet, _ store.Head, set store.ChangeSet) error {
		set.Expectations = encoded
		set, err := edited(ctx, tx, set, actor)
		if err != nil {
			return err
		}
		saved, err = s.withEdits(ctx, tx, set)
		return err
	})
	return saved, err
}

// edited saves a draft that somebody changed: it is another now, and nobody has approved that.
func edited(ctx context.Context, tx *store.Tx, set store.ChangeSet, actor string) (store.ChangeSet, error) {
	if !slices.Contains(set.Editors, actor) {
		set.Editors = append(set.Editors, actor)
	}
	if err := tx.TakeBackApprovals(ctx, set.ID); err != nil {
		return set, err
	}
	return tx.SaveChangeSet(ctx, set)
}

func encodeExpectations(list []*configv1.Expectation) ([]byte, error) {
	if len(list) == 0 {
		return nil, nil
	}
	seen := map[string]bool{}
	var violations []Violation
	for i, one := range list {
		fields, err := configv1.Validate(one)
		if err != nil {
			return nil, fmt.Errorf("validating an expectation: %w", err)
		}
		at := fmt.Sprintf("expectations[%d]", i)
		for _, field := range fields {
			violations = append(violations, Violation{Field: at + "." + field.Field, Rule: field.Rule, Message: field.Message})
		}
		if key := one.GetRoute() + " " + one.GetReason(); seen[key] {
			violations = append(violations, Violation{Field: at, Rule: ruleExpectation, Message: "is given more than once"})
		} else {
			seen[key] = true
		}
	}
	if err := refused(violations); err != nil {
		return nil, err
	}
	encoded, err := proto.Marshal(&configv1.Expectations{List: list})
	if err != nil {
		return nil, fmt.Errorf("encoding expectations: %w", err)
	}
	return encoded, nil
}

func decodeExpectations(encoded []byte) ([]*configv1.Expectation, error) {
	var list configv1.Expectations
	if err := proto.Unmarshal(encoded, &list); err != nil {
		return nil, fmt.Errorf("reading expectations: %w", err)
	}
	return list.GetList(), nil
}

// review completes what is shown of an open draft: what it risks, and how many approvals the fleet asks for.
func (d *draft) review(ctx context.Context) (Risk, int, error) {
	policy, err := Policy(d.fleet)
	if err != nil {
		return Risk{}, 0, err
	}
	if !d.hasStaged() {
		return Risk{}, 0, nil
	}
	risk, err := d.risk(ctx)
	if err == nil {
		err = d.weighTraffic(ctx, &risk)
	}
	return risk, required(policy, risk.Class), err
}
