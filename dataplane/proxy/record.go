package proxy

import (
	"math/rand/v2"
	"net/http"
	"time"

	"tidegate.dev/dataplane/plugin"
	"tidegate.dev/dataplane/telemetry"
)

// record counts the exchange, notes the use of its key, and writes the access log.
func (x *exchange) record() {
	x.bytes = max(x.bytes, x.client.Written())
	took := time.Since(x.Started)
	if x.arm != nil {
		class := uint8(x.Status / 100)
		if x.reason == plugin.ReasonClientClosed && !x.started {
			class = 0
		}
		class = x.arm.Leave(&x.ageing, x.Route, class, uint8(x.reason), took)
		x.arm.Record(x.number, x.Route, class, uint8(x.reason), took)
	}
	if uses := x.proxy.uses; uses != nil && x.Caller.Key != "" {
		uses.Record(x.Caller.Key, x.Caller.LastUsed, x.Started)
	}
	if log := x.proxy.accessLog; log != nil && x.sampled() {
		log.Log(x.entry(took))
	}
}

// sampled tells whether the exchange is written to the access log. What went wrong always is.
func (x *exchange) sampled() bool {
	share := x.proxy.sample
	return share == certain || x.reason != plugin.ReasonNone || x.Status >= http.StatusBadRequest || rand.Uint32N(certain) < share
}

func (x *exchange) entry(took time.Duration) telemetry.AccessEntry {
	entry := telemetry.AccessEntry{
		Time: x.Started, Duration: took, RequestID: x.identifiers.request(),
		Method: x.method, Host: x.host, Path: x.Path, Protocol: x.protocol, Client: x.Client.String(),
		Status: x.Status, Bytes: x.bytes, Route: x.Route, Service: x.Service,
		Consumer: x.Caller.Consumer, Key: x.Caller.Key, Reason: x.reason.String(),
	}
	entry.TraceID, entry.SpanID = x.identifiers.traced()
	if x.target != nil {
		entry.Target = x.target.Host()
	}
	if x.arm != nil {
		entry.Revision, entry.Arm = x.arm.Revision, x.arm.Arm.Arm
	}
	return entry
}
