package upstream

import "tidegate.dev/dataplane/overload"

// ConcurrencyConfig says whether a limit of exchanges that run at once is found from how long they take.
type ConcurrencyConfig struct {
	Adaptive bool
	// Limits are between what it moves; zero takes the limiter's defaults.
	Limits overload.Config
}

// Limiter bounds the exchanges of a window; nil bounds nothing. It belongs to the service's name, as breakers do.
func (s *Service) Limiter(window Window) *overload.Limiter {
	if !s.config.Concurrency.Adaptive {
		return nil
	}
	l := s.state.windows[window].limiter
	l.Configure(s.config.Concurrency.Limits)
	return l
}

// limit gives each window a limiter, if the settings want one. The caller holds the registry's mu.
func (s *state) limit(c ConcurrencyConfig) {
	if !c.Adaptive || s.windows[0].limiter != nil {
		return
	}
	for i := range s.windows {
		s.windows[i].limiter = overload.NewLimiter(c.Limits)
	}
}
