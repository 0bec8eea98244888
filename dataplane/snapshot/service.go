package snapshot

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"tidegate.dev/dataplane/upstream"
	"tidegate.dev/proto/revision"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// Timeouts that neither the route nor the service names.
const (
	defaultConnect        = 2 * time.Second
	defaultResponseHeader = 30 * time.Second
	defaultIdle           = 5 * time.Minute
)

// service is a service, ready to be used by routes.
type service struct {
	upstream     *upstream.Service
	hostOfTarget bool
	timeouts     Timeouts
	// deadlineHeader carries the time that is left, in canonical form; empty for none.
	deadlineHeader string
}

func (c *compilation) readService(resource revision.Resource) {
	var spec configv1.Service
	if !c.decode(resource, &spec) {
		return
	}
	name := resource.Key.String()
	defaults := Timeouts{Connect: defaultConnect, ResponseHeader: defaultResponseHeader, Idle: defaultIdle}
	s := &service{
		hostOfTarget: spec.GetHost() == "upstream",
		timeouts:     c.timeouts(name, spec.GetTimeouts(), defaults),

		deadlineHeader: http.CanonicalHeaderKey(spec.GetDeadlineHeader()),
	}
	acquired, err := c.Registry.Acquire(c.upstreamConfig(resource.Name, name, &spec, s.timeouts.Connect))
	if err != nil {
		c.failService(name, &spec, err)
		return
	}
	s.upstream = acquired
	put(c.next.services, resource.Name, hold(s, acquired.Release))
	c.services[resource.Name] = true
}

func (c *compilation) upstreamConfig(serviceName, resource string, spec *configv1.Service, connect time.Duration) upstream.Config {
	pool := spec.GetConnectionPool()
	config := upstream.Config{
		Name:           serviceName,
		Protocol:       upstream.Protocol(spec.GetProtocol()),
		ConnectTimeout: connect,
		MaxIdle:        int(pool.GetMaxIdle()),
		IdleTimeout:    c.duration(resource, "connection_pool.idle_timeout", pool.GetIdleTimeout(), 0),
		MaxOpen:        int(pool.GetMaxOpen()),
		TLS: upstream.TLSConfig{
			ServerName:         spec.GetTls().GetServerName(),
			CA:                 spec.GetTls().GetCaPem(),
			InsecureSkipVerify: spec.GetTls().GetInsecureSkipVerify(),
		},
		Retry:     c.retries(resource, spec.GetRetries()),
		Health:    c.healthCheck(resource, spec.GetHealthCheck()),
		Outlier:   c.outliers(resource, spec.GetOutlierDetection()),
		SlowStart: c.duration(resource, "slow_start", spec.GetSlowStart(), 0),

		Discovery:  c.discovery(resource, spec.GetDiscovery()),
		Balancing:  c.balancing(resource, spec.GetLoadBalancing()),
		Breaker:    c.breaker(resource, spec.GetCircuitBreaker()),
		HedgeAfter: c.duration(resource, "hedging.after", spec.GetHedging().GetAfter(), 0),

		Concurrency: concurrency(spec.GetAdaptiveConcurrency()),
	}
	if spec.GetUrl() != "" {
		config.Targets = []upstream.TargetConfig{{URL: spec.GetUrl()}}
	}
	for _, target := range spec.GetTargets() {
		config.Targets = append(config.Targets, upstream.TargetConfig{URL: target.GetUrl(), Weight: target.GetWeight(), Zone: target.GetZone()})
	}
	return config
}

var retriedFailures = map[string]upstream.Failure{
	"connect": upstream.FailureConnect, "reset": upstream.FailureReset, "timeout": upstream.FailureTimeout,
	"429": upstream.Failure429, "500": upstream.Failure500, "502": upstream.Failure502,
	"503": upstream.Failure503, "504": upstream.Failure504,
}

func (c *compilation) retries(resource string, spec *configv1.Retries) upstream.RetryConfig {
	config := upstream.RetryConfig{
		Attempts:      int(spec.GetAttempts()),
		PerTry:        c.duration(resource, "retries.per_try", spec.GetPerTry(), 0),
		BudgetPercent: int(spec.GetBudgetPercent()),
	}
	for i, name := range spec.GetOn() {
		failure, ok := retriedFailures[name]
		if !ok {
			c.fail(resource, fmt.Sprintf("retries.on[%d]", i), CodeCapability, "this agent does not know the failure %q", name)
		}
		config.On |= failure
	}
	return config
}

func (c *compilation) healthCheck(resource string, spec *configv1.HealthCheck) upstream.HealthConfig {
	if spec == nil {
		return upstream.HealthConfig{}
	}
	config := upstream.HealthConfig{
		Type: upstream.HealthType(spec.GetType()), Path: spec.GetPath(), Host: spec.GetHost(), Service: spec.GetGrpcService(),
		Interval:       c.duration(resource, "health_check.interval", spec.GetInterval(), 0),
		Timeout:        c.duration(resource, "health_check.timeout", spec.GetTimeout(), 0),
		UnhealthyAfter: int(spec.GetUnhealthyAfter()), HealthyAfter: int(spec.GetHealthyAfter()),
	}
	if config.Type == upstream.HealthNone {
		config.Type = upstream.HealthHTTP
	}
	return config
}

func (c *compilation) outliers(resource string, spec *configv1.OutlierDetection) upstream.OutlierConfig {
	return upstream.OutlierConfig{
		Consecutive: int(spec.GetConsecutiveFailures()),
		Ejection:    c.duration(resource, "outlier_detection.ejection", spec.GetEjection(), 0),
		MaxEjection: c.duration(resource, "outlier_detection.max_ejection", spec.GetMaxEjection(), 0),
		MaxPercent:  int(spec.GetMaxEjectedPercent()),
	}
}

// failService names the field as it is called in the resource.
func (c *compilation) failService(resource string, spec *configv1.Service, err error) {
	field, message := "", err.Error()
	var wrong *upstream.FieldError
	if errors.As(err, &wrong) {
		field, message = wrong.Field, wrong.Err.Error()
	}
	if spec.GetUrl() != "" && field == "targets[0].url" {
		field = "url"
	}
	c.fail(resource, field, CodeCompile, "%s", message)
}

func (c *compilation) timeouts(resource string, spec *configv1.Timeouts, fallback Timeouts) Timeouts {
	return Timeouts{
		Connect:        c.duration(resource, "timeouts.connect", spec.GetConnect(), fallback.Connect),
		ResponseHeader: c.duration(resource, "timeouts.response_header", spec.GetResponseHeader(), fallback.ResponseHeader),
		Idle:           c.duration(resource, "timeouts.idle", spec.GetIdle(), fallback.Idle),
		Total:          c.duration(resource, "timeouts.total", spec.GetTotal(), fallback.Total),
	}
}
