package rollout

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/controlplane/store"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// Errors about strategies.
var (
	// ErrBuiltIn: a strategy that ships with Tidegate cannot be changed or deleted.
	ErrBuiltIn = errors.New("ships with Tidegate and cannot be changed; make one of another name")
	// ErrInUse: the strategy is the fleet's default.
	ErrInUse = errors.New("is the fleet's default; make another the default first")
)

// InvalidStrategy says what is wrong with a strategy.
type InvalidStrategy struct{ Violations []configv1.FieldViolation }

func (e *InvalidStrategy) Error() string {
	first := e.Violations[0]
	return fmt.Sprintf("the strategy breaks %d rules; the first: %s %s", len(e.Violations), first.Field, first.Message)
}

// Lookup finds a strategy of a fleet by name, one that ships or one that was made; no name means the fleet's default. All
// defaults are applied. store.ErrNotFound: there is none of that name.
func Lookup(ctx context.Context, tx *store.Tx, fleet store.Fleet, name string) (*configv1.Strategy, error) {
	if name == "" {
		name = fleet.DefaultStrategy
	}
	if spec := Shipped(name); spec != nil {
		return spec, nil
	}
	stored, err := tx.Strategy(ctx, fleet.ID, name)
	if err != nil {
		return nil, err
	}
	return decode(stored)
}

func decode(stored store.StoredStrategy) (*configv1.Strategy, error) {
	var spec configv1.Strategy
	if err := proto.Unmarshal(stored.Body, &spec); err != nil {
		return nil, fmt.Errorf("decoding strategy %q: %w", stored.Name, err)
	}
	return WithDefaults(&spec), nil
}

// StrategyView is a strategy of a fleet.
type StrategyView struct {
	Name string
	Spec *configv1.Strategy
	// BuiltIn: it ships with Tidegate. Default: a publish that names none takes it.
	BuiltIn, Default bool
	// Version rises with every change; 0 if it ships.
	Version int64
}

// Strategies lists the strategies of a fleet: those that ship, then those that were made, each by name.
func (s *Service) Strategies(ctx context.Context, fleet string) (views []StrategyView, err error) {
	err = s.view(ctx, fleet, func(tx *store.Tx, fleet store.Fleet) error {
		views = nil
		for _, name := range ShippedNames() {
			views = append(views, shippedView(fleet, name))
		}
		stored, err := tx.Strategies(ctx, fleet.ID)
		if err != nil {
			return err
		}
		for _, strategy := range stored {
			view, err := storedView(fleet, strategy)
			if err != nil {
				return err
			}
			views = append(views, view)
		}
		return nil
	})
	return views, err
}

// Strategy returns one strategy of a fleet, or store.ErrNotFound.
func (s *Service) Strategy(ctx context.Context, fleet, name string) (view StrategyView, err error) {
	err = s.view(ctx, fleet, func(tx *store.Tx, fleet store.Fleet) error {
		if Shipped(name) != nil {
			view = shippedView(fleet, name)
			return nil
		}
		stored, err := tx.Strategy(ctx, fleet.ID, name)
		if err != nil {
			return err
		}
		view, err = storedView(fleet, stored)
		return err
	})
	return view, err
}

// PutStrategy creates or changes a strategy, and makes it the fleet's default if isDefault says so. Of one that ships only that
// can be changed: spec is then nil or what it is. version is what the caller read, or 0; store.ErrStale: it is another now.
func (s *Service) PutStrategy(ctx context.Context, fleet, name string, spec *configv1.Strategy, isDefault bool, version int64) (StrategyView, error) {
	if ships := Shipped(name); ships != nil {
		if len(spec.GetSteps()) > 0 && !proto.Equal(WithDefaults(spec), ships) {
			return StrategyView{}, fmt.Errorf("strategy %q %w", name, ErrBuiltIn)
		}
	} else if err := check(spec); err != nil {
		return StrategyView{}, err
	}
	err := s.change(ctx, fleet, func(tx *store.Tx, fleet store.Fleet) error {
		if Shipped(name) == nil {
			body, err := proto.Marshal(spec)
			if err != nil {
				return fmt.Errorf("encoding strategy %q: %w", name, err)
			}
			if _, err := tx.PutStrategy(ctx, fleet.ID, name, body, version); err != nil {
				return err
			}
		}
		if isDefault && fleet.DefaultStrategy != name {
			return tx.SetDefaultStrategy(ctx, fleet.ID, name)
		}
		return nil
	})
	if err != nil {
		return StrategyView{}, err
	}
	return s.Strategy(ctx, fleet, name)
}

func check(spec *configv1.Strategy) error {
	if spec == nil {
		spec = &configv1.Strategy{}
	}
	violations, err := Validate(spec)
	if err != nil {
		return err
	}
	if len(violations) > 0 {
		return &InvalidStrategy{Violations: violations}
	}
	return nil
}

// DeleteStrategy removes a strategy; rollouts that use it keep their copy. version as in PutStrategy.
func (s *Service) DeleteStrategy(ctx context.Context, fleet, name string, version int64) error {
	if Shipped(name) != nil {
		return fmt.Errorf("strategy %q %w", name, ErrBuiltIn)
	}
	return s.change(ctx, fleet, func(tx *store.Tx, fleet store.Fleet) error {
		if fleet.DefaultStrategy == name {
			return fmt.Errorf("strategy %q %w", name, ErrInUse)
		}
		return tx.DeleteStrategy(ctx, fleet.ID, name, version)
	})
}

func shippedView(fleet store.Fleet, name string) StrategyView {
	return StrategyView{Name: name, Spec: Shipped(name), BuiltIn: true, Default: fleet.DefaultStrategy == name}
}

func storedView(fleet store.Fleet, stored store.StoredStrategy) (StrategyView, error) {
	spec, err := decode(stored)
	if err != nil {
		return StrategyView{}, err
	}
	return StrategyView{
		Name: stored.Name, Spec: spec, Default: fleet.DefaultStrategy == stored.Name, Version: stored.Version,
	}, nil
}
