package plugin

// Reason is why the gateway, and not the upstream, decided the outcome of an exchange. Its name stands in the header
// x-tidegate-reason, in metrics, in the access log and in the telemetry that rollouts are judged by.
type Reason uint8

// The reasons. ReasonNone means that the upstream decided.
const (
	ReasonNone Reason = iota
	ReasonNoRoute
	ReasonMethodNotAllowed
	ReasonBadRequest
	ReasonTargetTooLong
	ReasonHeaderTooLarge
	ReasonPayloadTooLarge
	ReasonMisdirected
	ReasonUnsupported
	ReasonRequestTimeout
	ReasonKeyMissing
	ReasonKeyInvalid
	ReasonKeyExpired
	ReasonKeyRevoked
	ReasonConsumerPending
	ReasonConsumerDisabled
	ReasonForbidden
	ReasonRateLimited
	ReasonOverloaded
	ReasonNotReady
	ReasonUpstreamTimeout
	ReasonUpstreamUnreachable
	ReasonUpstreamProtocol
	ReasonUpstreamAborted
	ReasonCircuitOpen
	ReasonFaultInjected
	ReasonClientClosed
	ReasonInternal
	ReasonExpectationFailed
	ReasonVersion
	ReasonBlocked
	reasonCount
)

// ReasonInfo is what clients and operators are told about a reason.
type ReasonInfo struct {
	// Name is stable: lower case with underscores.
	Name string
	// Status is the HTTP status of the answer.
	Status int
	// GRPC is the status code that gRPC clients get instead (grpc/doc/statuscodes.md).
	GRPC int
	// Title says it in a few words; the problem's type ends in the name with hyphens.
	Title string
}

// reasons is the one table of them.
var reasons = [reasonCount]ReasonInfo{
	ReasonNone:                {"", 0, 0, ""},
	ReasonNoRoute:             {"no_route", 404, 12, "No route takes this request"},
	ReasonMethodNotAllowed:    {"method_not_allowed", 405, 12, "The route does not take this method"},
	ReasonBadRequest:          {"bad_request", 400, 3, "The request is not well formed"},
	ReasonTargetTooLong:       {"target_too_long", 414, 3, "The request target is too long"},
	ReasonHeaderTooLarge:      {"header_too_large", 431, 8, "The request header is too large"},
	ReasonPayloadTooLarge:     {"payload_too_large", 413, 8, "The request body is too large"},
	ReasonMisdirected:         {"misdirected_request", 421, 14, "The connection is not for this host"},
	ReasonUnsupported:         {"unsupported", 501, 12, "The gateway does not do this"},
	ReasonRequestTimeout:      {"request_timeout", 408, 4, "The request did not arrive in time"},
	ReasonKeyMissing:          {"key_missing", 401, 16, "An API key is needed"},
	ReasonKeyInvalid:          {"key_invalid", 401, 16, "The API key is not valid"},
	ReasonKeyExpired:          {"key_expired", 401, 16, "The API key has expired"},
	ReasonKeyRevoked:          {"key_revoked", 401, 16, "The API key was revoked"},
	ReasonConsumerPending:     {"consumer_pending", 403, 7, "The consumer's plan is not in service yet"},
	ReasonConsumerDisabled:    {"consumer_disabled", 403, 7, "The consumer is disabled"},
	ReasonForbidden:           {"forbidden", 403, 7, "This is not permitted"},
	ReasonRateLimited:         {"rate_limited", 429, 8, "Too many requests"},
	ReasonOverloaded:          {"overloaded", 503, 14, "The gateway is overloaded"},
	ReasonNotReady:            {"not_ready", 503, 14, "The gateway has no configuration yet"},
	ReasonUpstreamTimeout:     {"upstream_timeout", 504, 4, "The upstream did not answer in time"},
	ReasonUpstreamUnreachable: {"upstream_unreachable", 502, 14, "The upstream cannot be reached"},
	ReasonUpstreamProtocol:    {"upstream_protocol", 502, 13, "The upstream did not answer properly"},
	ReasonUpstreamAborted:     {"upstream_aborted", 502, 14, "The upstream broke off its answer"},
	ReasonCircuitOpen:         {"circuit_open", 503, 14, "The upstream failed too often and is left alone for a while"},
	ReasonFaultInjected:       {"fault_injected", 503, 14, "The route injects faults"},
	ReasonClientClosed:        {"client_closed", 499, 1, "The client went away"},
	ReasonInternal:            {"internal", 500, 13, "The gateway failed"},
	ReasonExpectationFailed:   {"expectation_failed", 417, 12, "The gateway does not do what the request expects"},
	ReasonVersion:             {"version_not_supported", 505, 12, "The gateway does not speak this version of HTTP"},
	ReasonBlocked:             {"blocked", 403, 7, "Requests from here are blocked"},
}

// Info is the reason's row of the table.
func (r Reason) Info() ReasonInfo { return reasons[r] }

// String is the reason's name, empty for ReasonNone.
func (r Reason) String() string { return reasons[r].Name }

// ReasonNames lists the names by index, for whoever counts by index.
func ReasonNames() []string {
	names := make([]string, reasonCount)
	for i := range reasons {
		names[i] = reasons[i].Name
	}
	return names
}
