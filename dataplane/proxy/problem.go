package proxy

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"tidegate.dev/dataplane/plugin"
)

// problemTypes is where the types of problems are described (RFC 9457, section 3.1.1).
const problemTypes = "https://tidegate.dev/problems/"

// problem is the body of an answer that the gateway makes.
type problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail,omitempty"`
	RequestID string `json:"request_id"`
}

// refuse answers instead of the upstream. It tells whether the answer is whole.
func (x *exchange) refuse(verdict plugin.Verdict) (whole bool) {
	info := infoOf(verdict)
	x.reason, x.Status = verdict.Reason, info.Status
	if verdict.Reason == plugin.ReasonClientClosed {
		return false
	}
	header := &x.own
	header.Set("X-Tidegate-Reason", info.Name)
	if verdict.Challenge != "" {
		header.Set("Www-Authenticate", verdict.Challenge)
	}
	switch {
	case verdict.RetryAfter > 0:
		header.Set("Retry-After", strconv.Itoa(verdict.RetryAfter))
	case info.Status == http.StatusServiceUnavailable:
		header.Set("Retry-After", "1")
	}
	if isGRPC(x.header) {
		return x.refuseGRPC(verdict)
	}
	return x.writeProblem(verdict)
}

// infoOf is what is told about a verdict, which may have another status than its reason.
func infoOf(verdict plugin.Verdict) plugin.ReasonInfo {
	info := verdict.Reason.Info()
	if verdict.Status != 0 {
		info.Status = verdict.Status
	}
	return info
}

func (x *exchange) writeProblem(verdict plugin.Verdict) bool {
	info := infoOf(verdict)
	body, err := json.Marshal(problem{
		Type:      problemTypes + strings.ReplaceAll(info.Name, "_", "-"),
		Title:     info.Title,
		Status:    info.Status,
		Detail:    verdict.Detail,
		RequestID: x.identifiers.request(),
	})
	if err != nil {
		return false
	}
	x.own.Set("Content-Type", "application/problem+json")
	x.own.Set("Cache-Control", "no-store")
	return x.send(info.Status, body)
}

// refuseGRPC answers a gRPC client in the form that it understands: trailers only, in the header of a 200. It is counted by the
// status that others would get.
func (x *exchange) refuseGRPC(verdict plugin.Verdict) bool {
	info := infoOf(verdict)
	x.own.Set("Content-Type", "application/grpc")
	x.own.Set("Grpc-Status", strconv.Itoa(info.GRPC))
	message := info.Title
	if verdict.Detail != "" {
		message += ": " + verdict.Detail
	}
	x.own.Set("Grpc-Message", percentEncode(message))
	whole := x.send(http.StatusOK, nil)
	x.Status = info.Status
	return whole
}

func grpcStatus(reason plugin.Reason) string { return strconv.Itoa(reason.Info().GRPC) }

// percentEncode is the encoding of grpc-message: bytes outside printable ASCII, and the percent sign, are escaped.
func percentEncode(text string) string {
	const hex = "0123456789ABCDEF"
	var out strings.Builder
	for i := range len(text) {
		if c := text[i]; c >= ' ' && c <= '~' && c != '%' {
			out.WriteByte(c)
		} else {
			out.WriteByte('%')
			out.WriteByte(hex[c>>4])
			out.WriteByte(hex[c&15])
		}
	}
	return out.String()
}
