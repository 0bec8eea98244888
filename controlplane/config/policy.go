package config

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/controlplane/store"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// What a policy says that says nothing.
const (
	defaultMaxDeletePercent = 50
	defaultRollbackWindow   = 10
	// manyRoutes is how many routes must go before their share counts.
	manyRoutes = 10
)

// Policy returns what a fleet asks of those who change it.
func Policy(fleet store.Fleet) (*configv1.FleetPolicy, error) {
	policy := new(configv1.FleetPolicy)
	if err := proto.Unmarshal(fleet.Policy, policy); err != nil {
		return nil, fmt.Errorf("reading the policy of fleet %q: %w", fleet.Name, err)
	}
	return policy, nil
}

// SetPolicy says what a fleet asks of those who change it from now on.
func (s *Service) SetPolicy(ctx context.Context, fleet string, policy *configv1.FleetPolicy) error {
	if violations, err := checkPolicy(policy); err != nil || len(violations) > 0 {
		return errors.Join(err, refused(violations))
	}
	encoded, err := proto.Marshal(policy)
	if err != nil {
		return fmt.Errorf("encoding the policy of fleet %q: %w", fleet, err)
	}
	return s.changeFleet(ctx, fleet, func(tx *store.Tx, fleet store.Fleet, _ store.Head) error {
		// From this moment on they are about everything, and not from when somebody looks first.
		for _, notification := range policy.GetNotifications() {
			if err := tx.BeginNotification(ctx, fleet.ID, notification.GetName()); err != nil {
				return err
			}
		}
		return tx.SetFleetPolicy(ctx, fleet.ID, encoded)
	})
}

func checkPolicy(policy *configv1.FleetPolicy) ([]Violation, error) {
	fields, err := configv1.Validate(policy)
	if err != nil {
		return nil, fmt.Errorf("validating a policy: %w", err)
	}
	var violations []Violation
	for _, field := range fields {
		violations = append(violations, Violation{Field: "policy." + field.Field, Rule: field.Rule, Message: field.Message})
	}
	if len(violations) > 0 {
		return violations, nil
	}
	for i, window := range policy.GetFreezeWindows() {
		if _, err := newFreeze(window); err != nil {
			violations = append(violations, Violation{Field: fmt.Sprintf("policy.freeze_windows[%d]", i), Rule: ruleFreeze, Message: err.Error()})
		}
	}
	return violations, nil
}

// freeze is a window in which nothing is published: once or every week.
type freeze struct {
	name       string
	start, end time.Time
	zone       *time.Location
	days       []string
	// from and to are times of the day; length is how long the window is.
	from, length time.Duration
}

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

func newFreeze(window *configv1.FreezeWindow) (freeze, error) {
	f := freeze{name: window.GetName(), days: window.GetDays(), zone: time.UTC}
	if window.Start != nil {
		var err error
		if f.start, err = time.Parse(time.RFC3339, window.GetStart()); err != nil {
			return f, fmt.Errorf("start %q is not a time such as 2026-12-23T18:00:00Z", window.GetStart())
		}
		if f.end, err = time.Parse(time.RFC3339, window.GetEnd()); err != nil {
			return f, fmt.Errorf("end %q is not a time such as 2027-01-02T08:00:00Z", window.GetEnd())
		}
		if !f.end.After(f.start) {
			return f, errors.New("end must be after start")
		}
		return f, nil
	}
	if name := window.GetTimeZone(); name != "" {
		zone, err := time.LoadLocation(name)
		if err != nil || name == "Local" {
			return f, fmt.Errorf("time_zone %q is not known; give one such as Europe/Berlin", name)
		}
		f.zone = zone
	}
	f.from, f.length = timeOfDay(window.GetFrom()), timeOfDay(window.GetTo())-timeOfDay(window.GetFrom())
	if f.length <= 0 {
		f.length += 24 * time.Hour
	}
	return f, nil
}

// timeOfDay reads "18:30", whose form the schema has checked.
func timeOfDay(text string) time.Duration {
	at, _ := time.Parse("15:04", text)
	return time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute
}

// until is when the window ends that now lies in; zero: it lies in none.
func (f freeze) until(now time.Time) time.Time {
	if f.days == nil {
		if now.Before(f.start) || !now.Before(f.end) {
			return time.Time{}
		}
		return f.end
	}
	local := now.In(f.zone)
	// A window of the day before may still be open.
	for _, back := range []int{0, 1} {
		day := time.Date(local.Year(), local.Month(), local.Day()-back, 0, 0, 0, 0, f.zone)
		if !slices.Contains(f.days, weekdays[day.Weekday()]) {
			continue
		}
		// By the clock on the wall, whatever it does that night.
		start := time.Date(day.Year(), day.Month(), day.Day(), 0, 0, int(f.from/time.Second), 0, f.zone)
		end := time.Date(day.Year(), day.Month(), day.Day(), 0, 0, int((f.from+f.length)/time.Second), 0, f.zone)
		if !now.Before(start) && now.Before(end) {
			return end
		}
	}
	return time.Time{}
}

// frozen is the window that now lies in and when it ends; nil: none.
func frozen(policy *configv1.FleetPolicy, now time.Time) *Frozen {
	var found *Frozen
	for _, window := range policy.GetFreezeWindows() {
		f, err := newFreeze(window)
		if err != nil {
			continue // it was checked when it was set
		}
		if until := f.until(now); !until.IsZero() && (found == nil || until.After(found.Until)) {
			found = &Frozen{Window: f.name, Until: until}
		}
	}
	return found
}
