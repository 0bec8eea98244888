package config

import (
	"context"
	"errors"
	"fmt"

	"tidegate.dev/controlplane/keyring"
	"tidegate.dev/controlplane/store"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// Service is the domain of configuration. Its methods may be called from any goroutine. Their context may carry a
// transaction (see [store.Store.Once]), which they join.
type Service struct {
	store      *store.Store
	keys       *keyring.Keyring
	strategies StrategyLookup
}

// StrategyLookup finds a strategy of a fleet by its name, those that ship included; store.ErrNotFound if there is none.
// There is always one of the name "immediate".
type StrategyLookup func(ctx context.Context, tx *store.Tx, fleet store.Fleet, name string) (*configv1.Strategy, error)

// strategyImmediate is how a rollback reaches traffic: it skips the steps.
const strategyImmediate = "immediate"

// New returns a service. It does no I/O.
func New(s *store.Store, keys *keyring.Keyring, strategies StrategyLookup) *Service {
	return &Service{store: s, keys: keys, strategies: strategies}
}

// ListOptions chooses a page of a list.
type ListOptions struct {
	// View is "" or "head" for head, "stable" for what has proved itself.
	View string
	// Filter is made of terms joined by " AND ": "name:prefix", "labels.key=value"; of change sets "state=open".
	Filter string
	// PageSize is at most 1000; 0 takes 100.
	PageSize int
	// PageToken is what the page before gave; "" for the first.
	PageToken string
}

// CreateFleet makes a fleet with nothing in it.
func (s *Service) CreateFleet(ctx context.Context, name string) (store.Fleet, error) {
	if violations := checkName("fleets/"+name, name); violations != nil {
		return store.Fleet{}, refused(violations)
	}
	var fleet store.Fleet
	err := s.store.InTx(ctx, func(tx *store.Tx) error {
		var err error
		fleet, err = tx.CreateFleet(ctx, name)
		return err
	})
	return fleet, err
}

// Fleet returns a fleet and where it stands.
func (s *Service) Fleet(ctx context.Context, name string) (store.Fleet, store.Head, error) {
	var fleet store.Fleet
	var head store.Head
	err := s.store.View(ctx, func(tx *store.Tx) error {
		var err error
		if fleet, err = tx.FleetByName(ctx, name); err != nil {
			return err
		}
		head, err = tx.Head(ctx, fleet.ID)
		return err
	})
	return fleet, head, err
}

// Fleets lists fleets by name.
func (s *Service) Fleets(ctx context.Context, options ListOptions) ([]store.Fleet, string, error) {
	page, err := options.page("fleets")
	if err != nil {
		return nil, "", err
	}
	var fleets []store.Fleet
	err = s.store.View(ctx, func(tx *store.Tx) error {
		fleets, err = tx.Fleets(ctx, page.after, page.size+1)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	fleets, next := cut(fleets, page, func(f store.Fleet) string { return f.Name })
	return fleets, next, nil
}

// viewFleet runs reads on a fleet as it stands at one moment.
func (s *Service) viewFleet(ctx context.Context, name string, read func(*store.Tx, store.Fleet, store.Head) error) error {
	return s.store.View(ctx, func(tx *store.Tx) error {
		fleet, err := tx.FleetByName(ctx, name)
		if err != nil {
			return err
		}
		head, err := tx.Head(ctx, fleet.ID)
		if err != nil {
			return err
		}
		return read(tx, fleet, head)
	})
}

// changeFleet runs writes on a fleet whose head nobody else can move meanwhile.
func (s *Service) changeFleet(ctx context.Context, name string, write func(*store.Tx, store.Fleet, store.Head) error) error {
	return s.store.InTx(ctx, func(tx *store.Tx) error {
		fleet, err := tx.FleetByName(ctx, name)
		if err != nil {
			return err
		}
		head, err := tx.LockHead(ctx, fleet.ID)
		if err != nil {
			return err
		}
		return write(tx, fleet, head)
	})
}

// strategy finds the strategy that a publish asked for; without a name that of the fleet.
func (s *Service) strategy(ctx context.Context, tx *store.Tx, fleet store.Fleet, name string) (string, *configv1.Strategy, error) {
	if name == "" {
		name = fleet.DefaultStrategy
	}
	spec, err := s.strategies(ctx, tx, fleet, name)
	if err != nil {
		return "", nil, fmt.Errorf("finding strategy %q: %w", name, err)
	}
	return name, spec, nil
}

// strategyError refuses a name that the client gave; that the fleet's own is missing is our fault.
func strategyError(name string, err error) error {
	if name != "" && errors.Is(err, store.ErrNotFound) {
		return refusedField("strategy", ruleStrategy, fmt.Sprintf("no strategy %q", name))
	}
	return err
}
