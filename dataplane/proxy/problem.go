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
	info := verdict.Reason.Info()
	x.reason, x.Status = verdict.Reason, info.Status
	if x.watchdog != nil {
		x.watchdog.stop()
	}
	if verdict.Reason == plugin.ReasonClientClosed {
		return false
	}
	header := x.writer.Header()
	header["X-Tidegate-Reason"] = []string{info.Name}
	if verdict.Challenge != "" {
		header["Www-Authenticate"] = []string{verdict.Challenge}
	}
	switch {
	case verdict.RetryAfter > 0:
		header["Retry-After"] = []string{strconv.Itoa(verdict.RetryAfter)}
	case info.Status == http.StatusServiceUnavailable:
		header["Retry-After"] = []string{"1"}
	}
	x.Limits.Write(header)
	if isGRPC(x.request.Header) {
		return x.refuseGRPC(verdict)
	}
	return x.writeProblem(verdict)
}

func (x *exchange) writeProblem(verdict plugin.Verdict) bool {
	info := verdict.Reason.Info()
	body, err := json.Marshal(problem{
		Type:      problemTypes + strings.ReplaceAll(info.Name, "_", "-"),
		Title:     info.Title,
		Status:    info.Status,
		Detail:    verdict.Detail,
		RequestID: x.requestID,
	})
	if err != nil {
		return false
	}
	header := x.writer.Header()
	header["Content-Type"] = []string{"application/problem+json"}
	header["Content-Length"] = []string{strconv.Itoa(len(body))}
	header["Cache-Control"] = []string{"no-store"}
	x.finishHead(header)
	x.writer.WriteHeader(info.Status)
	if x.request.Method == http.MethodHead {
		return true
	}
	n, err := x.writer.Write(body)
	x.bytes = int64(n)
	return err == nil
}

// refuseGRPC answers a gRPC client in the form that it understands: trailers only, in the header of a 200.
func (x *exchange) refuseGRPC(verdict plugin.Verdict) bool {
	info := verdict.Reason.Info()
	header := x.writer.Header()
	header["Content-Type"] = []string{"application/grpc"}
	header["Grpc-Status"] = []string{strconv.Itoa(info.GRPC)}
	message := info.Title
	if verdict.Detail != "" {
		message += ": " + verdict.Detail
	}
	header["Grpc-Message"] = []string{percentEncode(message)}
	x.finishHead(header)
	x.writer.WriteHeader(http.StatusOK)
	return true
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
