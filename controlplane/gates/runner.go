package gates

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"tidegate.dev/controlplane/outbound"
	"tidegate.dev/controlplane/store"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

const (
	// lookEvery is how often gates are looked for that are due.
	lookEvery = time.Second
	// defaultInterval is the pause between two questions to one gate.
	defaultInterval = 15 * time.Second
	// askTimeout bounds one question, and storeTimeout one access to the store.
	askTimeout   = 10 * time.Second
	storeTimeout = 5 * time.Second
	// atOnce bounds the questions that are open.
	atOnce = 16
	// longestAnswer bounds what is read of an answer, and longestExplanation what is kept of it.
	longestAnswer      = 1 << 20
	longestExplanation = 500
)

// The verdicts, as the store knows them.
const (
	pass         = "pass"
	fail         = "fail"
	inconclusive = "inconclusive"
)

// answer is what a gate says.
type answer struct{ verdict, explanation string }

func unsure(format string, arguments ...any) answer {
	return answer{inconclusive, fmt.Sprintf(format, arguments...)}
}

// Config is what a runner needs.
type Config struct {
	Store *store.Store
	Log   *slog.Logger
	// Client asks; nil takes one that refuses link-local addresses and the metadata services of clouds.
	Client *http.Client
	// UserAgent is what the asked see.
	UserAgent string
}

// Runner asks gates until its Run ends.
type Runner struct {
	config Config
	client *http.Client
}

// NewRunner makes a runner. It does nothing before Run.
func NewRunner(config Config) *Runner {
	client := config.Client
	if client == nil {
		client = outbound.NewClient(askTimeout)
	}
	return &Runner{config: config, client: client}
}

// Run asks the gates that are due until ctx is done. Trouble with the store is logged and passes.
func (r *Runner) Run(ctx context.Context) error {
	var asking errgroup.Group
	asking.SetLimit(atOnce)
	defer asking.Wait() //nolint:errcheck // questions return no errors
	ticks := time.NewTicker(lookEvery)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
		}
		if err := r.look(ctx, &asking); err != nil && ctx.Err() == nil {
			r.config.Log.WarnContext(ctx, "gates cannot be looked for; it is tried again", "error", err)
		}
	}
}

// look asks what is due, as far as there is room.
func (r *Runner) look(ctx context.Context, asking *errgroup.Group) error {
	rollouts, err := r.gated(ctx)
	if err != nil {
		return err
	}
	for _, rollout := range rollouts {
		var strategy configv1.Strategy
		if err := proto.Unmarshal(rollout.Spec, &strategy); err != nil {
			return fmt.Errorf("reading the strategy of rollout %d: %w", rollout.ID, err)
		}
		for _, gate := range strategy.GetGates() {
			if gate.GetPrometheus() == nil && gate.GetWebhook() == nil {
				continue
			}
			claimed, err := r.claim(ctx, rollout.ID, gate)
			if err != nil {
				return err
			}
			if claimed {
				asking.Go(func() error { r.ask(ctx, rollout, gate); return nil })
			}
		}
	}
	return nil
}

func (r *Runner) gated(ctx context.Context) (rollouts []store.GatedRollout, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	err = r.config.Store.View(ctx, func(tx *store.Tx) (err error) {
		rollouts, err = tx.GatedRollouts(ctx)
		return err
	})
	return rollouts, err
}

func (r *Runner) claim(ctx context.Context, rolloutID int64, gate *configv1.Gate) (claimed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	err = r.config.Store.InTx(ctx, func(tx *store.Tx) (err error) {
		claimed, err = tx.ClaimGate(ctx, rolloutID, gate.GetName(), intervalOf(gate))
		return err
	})
	return claimed, err
}

func intervalOf(gate *configv1.Gate) time.Duration {
	text := gate.GetPrometheus().GetInterval()
	if gate.GetWebhook() != nil {
		text = gate.GetWebhook().GetInterval()
	}
	interval, err := time.ParseDuration(text)
	if err != nil || interval <= 0 {
		return defaultInterval
	}
	return interval
}

// ask asks one gate and writes down what it says.
func (r *Runner) ask(ctx context.Context, rollout store.GatedRollout, gate *configv1.Gate) {
	asked, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var said answer
	if gate.GetPrometheus() != nil {
		said = r.askPrometheus(asked, rollout, gate.GetPrometheus())
	} else {
		said = r.askWebhook(asked, rollout, gate)
	}
	if runes := []rune(said.explanation); len(runes) > longestExplanation {
		said.explanation = string(runes[:longestExplanation]) + "…"
	}
	// What was asked is written down, also when the process ends.
	writing, done := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer done()
	err := r.config.Store.InTx(writing, func(tx *store.Tx) error {
		tolerated := max(int(gate.GetPrometheus().GetFailures()), 1)
		if err := tx.AnswerGate(writing, rollout.ID, gate.GetName(), said.verdict, said.explanation, tolerated); err != nil {
			return err
		}
		return tx.NotifyRollouts(writing, rollout.FleetID)
	})
	if err != nil {
		r.config.Log.ErrorContext(ctx, "a gate's answer is lost", "rollout", rollout.ID, "gate", gate.GetName(), "error", err)
	}
}
