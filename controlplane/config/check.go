package config

import (
	"context"
	"fmt"

	"tidegate.dev/controlplane/store"
	"tidegate.dev/proto/revision"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// maxServedPlugins bounds how many plugins of a served revision are looked through.
const maxServedPlugins = 1_000_000

// effort bounds the work that goes into warnings.
type effort struct {
	// routes is the largest number of routes at head among which shadowed ones are looked for.
	routes int
}

var (
	// publishEffort keeps the time short for which a publish holds the head.
	publishEffort = effort{routes: 2_000}
	reviewEffort  = effort{routes: 20_000}
)

// check notes everything that keeps the draft from being published, and warns of what looks wrong.
func (d *draft) check(ctx context.Context, e effort) error {
	now, err := d.tx.Now(ctx)
	if err != nil {
		return err
	}
	wrong := map[revision.Key]bool{}
	for _, edit := range d.edits {
		if edit.delete || edit.body == nil && len(d.violations) > 0 {
			continue
		}
		violations, err := checkResource(edit.Key, edit.labels, edit.spec, now)
		if err != nil {
			return err
		}
		wrong[edit.Key] = len(violations) > 0
		d.violations = append(d.violations, violations...)
	}
	if err := d.checkReferences(ctx); err != nil {
		return err
	}
	if err := d.checkDeletes(ctx); err != nil {
		return err
	}
	if err := d.checkPlaces(ctx); err != nil {
		return err
	}
	if err := d.checkCapabilities(ctx); err != nil {
		return err
	}
	if err := d.checkRoutes(ctx, wrong, e); err != nil {
		return err
	}
	return d.warnOfManyDeletes(ctx)
}

// checkReferences: what an edit names exists, or is made by the same draft.
func (d *draft) checkReferences(ctx context.Context) error {
	type use struct {
		edit  *edit
		field string
	}
	missing := map[revision.Key][]use{}
	var staged, fast []revision.Key
	d.upserts(func(e *edit) {
		for _, reference := range configv1.References(e.spec) {
			to := revision.Key{Kind: reference.Kind, Name: reference.Name}
			if other := d.byKey[to]; other != nil && !other.delete {
				continue
			}
			if missing[to] == nil && d.byKey[to] == nil {
				if to.Kind.Fast() {
					fast = append(fast, to)
				} else {
					staged = append(staged, to)
				}
			}
			missing[to] = append(missing[to], use{edit: e, field: "spec." + reference.Field})
		}
	})
	atHead, err := d.tx.AtHead(ctx, d.fleet.ID, staged)
	if err != nil {
		return err
	}
	inLane, err := d.tx.Lane(ctx, d.fleet.ID, fast)
	if err != nil {
		return err
	}
	for to, uses := range missing {
		if _, ok := atHead[to]; ok {
			continue
		}
		if version, ok := inLane[to]; ok && !version.Deleted {
			continue
		}
		message := fmt.Sprintf("%s does not exist", to)
		if d.byKey[to] != nil {
			message = fmt.Sprintf("%s is deleted by the same change", to)
		}
		for _, use := range uses {
			d.refuse(use.edit.Key, use.field, ruleReferenceMissing, message)
		}
	}
	return nil
}

// checkDeletes: what is deleted is not referred to by what stays.
func (d *draft) checkDeletes(ctx context.Context) error {
	deleted := d.deletes()
	references, err := d.tx.ReferencesTo(ctx, d.fleet.ID, deleted)
	if err != nil {
		return err
	}
	known := map[revision.Key]bool{}
	for _, reference := range references {
		// What the draft itself rewrites or deletes does not stay; its new references are checked as such.
		if d.byKey[reference.From] == nil {
			known[reference.From] = true
			d.refuse(reference.To, "", ruleReferenceInUse, fmt.Sprintf("%s refers to it (spec.%s)", reference.From, reference.Field))
		}
	}
	return d.checkServedSecrets(ctx, known)
}

// checkServedSecrets: a secret goes at once, so no plugin may need it that is still served, whatever head says.
func (d *draft) checkServedSecrets(ctx context.Context, known map[revision.Key]bool) error {
	secrets := map[revision.Key]bool{}
	for _, key := range d.deletes() {
		if key.Kind == configv1.Kind_KIND_SECRET {
			secrets[key] = true
		}
	}
	if len(secrets) == 0 {
		return nil
	}
	candidate, err := d.tx.CandidateRevision(ctx, d.fleet.ID)
	if err != nil {
		return err
	}
	for _, served := range []int64{d.head.Stable, candidate} {
		plugins, err := d.tx.ListAt(ctx, d.fleet.ID, served, configv1.Kind_KIND_PLUGIN, store.Filter{Limit: maxServedPlugins})
		if err != nil {
			return err
		}
		for _, plugin := range plugins {
			if known[plugin.Key] {
				continue
			}
			spec, err := d.service.decode(d.fleet.ID, plugin.Key, plugin.Body)
			if err != nil {
				return err
			}
			for _, reference := range configv1.References(spec) {
				to := revision.Key{Kind: reference.Kind, Name: reference.Name}
				if secrets[to] {
					known[plugin.Key] = true
					d.refuse(to, "", ruleReferenceInUse, fmt.Sprintf(
						"%s of revision %d refers to it (spec.%s), and agents serve that until a rollout has replaced it", plugin.Key, served, reference.Field))
				}
			}
		}
	}
	return nil
}
