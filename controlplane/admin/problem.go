package admin

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
)

// errorDomain marks our details in a status, so that they are told from a library's.
const errorDomain = "tidegate.dev"

// problem is an error with its kind. As a gRPC error it is a status with details; as HTTP, a problem document.
type problem struct {
	kind       problemType
	detail     string
	violations []*adminv1.Violation
	retryAfter time.Duration
	requestID  string
}

func (p *problem) Error() string { return p.kind.title + ": " + p.detail }

// GRPCStatus is how the gRPC library asks an error for its status.
func (p *problem) GRPCStatus() *status.Status {
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{
		Domain: errorDomain, Reason: p.kind.slug, Metadata: map[string]string{headerRequestID: p.requestID},
	}}
	for _, violation := range p.violations {
		details = append(details, protoadapt.MessageV1Of(violation))
	}
	if p.retryAfter > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(p.retryAfter)})
	}
	plain := status.New(p.kind.code, p.detail)
	if detailed, err := plain.WithDetails(details...); err == nil {
		return detailed
	}
	return plain
}

// newProblem is a problem without violations.
func newProblem(kind problemType, detail string) *problem {
	return &problem{kind: kind, detail: detail}
}

// invalidField is a problem with one field of the request.
func invalidField(field, rule, message string) *problem {
	return &problem{
		kind: problemInvalid, detail: field + " " + message,
		violations: []*adminv1.Violation{{Field: field, Rule: rule, Message: message}},
	}
}

// problemOf reads a problem out of any error: one of ours, or a status.
func problemOf(err error) *problem {
	var own *problem
	if errors.As(err, &own) {
		return own
	}
	s := status.Convert(err)
	found := newProblem(problemOfCode(s.Code()), s.Message())
	for _, detail := range s.Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			if kind, ok := problemOfSlug(d.GetReason()); ok && d.GetDomain() == errorDomain {
				found.kind, found.requestID = kind, d.GetMetadata()[headerRequestID]
			}
		case *adminv1.Violation:
			found.violations = append(found.violations, d)
		case *errdetails.RetryInfo:
			found.retryAfter = d.GetRetryDelay().AsDuration()
		}
	}
	return found
}

// document is the problem as application/problem+json.
type document struct {
	Type       string      `json:"type"`
	Title      string      `json:"title"`
	Status     int         `json:"status"`
	Detail     string      `json:"detail,omitempty"`
	RequestID  string      `json:"request_id"`
	Violations []violation `json:"violations,omitempty"`
}

type violation struct {
	Resource string `json:"resource,omitempty"`
	Field    string `json:"field,omitempty"`
	Rule     string `json:"rule"`
	Message  string `json:"message"`
	Line     int32  `json:"line,omitempty"`
	Column   int32  `json:"column,omitempty"`
}

func (p *problem) document() document {
	d := document{
		Type: typeURL + p.kind.slug, Title: p.kind.title, Status: p.kind.status, Detail: p.detail, RequestID: p.requestID,
	}
	for _, v := range p.violations {
		d.Violations = append(d.Violations, violation{
			Resource: v.GetResource(), Field: v.GetField(), Rule: v.GetRule(), Message: v.GetMessage(),
			Line: v.GetLine(), Column: v.GetColumn(),
		})
	}
	return d
}

// writeProblem answers an HTTP request with a problem document.
func writeProblem(w http.ResponseWriter, r *http.Request, p *problem) {
	p.requestID = callOf(r.Context()).requestID
	body, err := json.Marshal(p.document())
	if err != nil { // strings and numbers always encode
		body = []byte("{}")
	}
	header := w.Header()
	header.Set("Content-Type", "application/problem+json")
	header.Set("Cache-Control", "no-store")
	header.Del("Transfer-Encoding")
	if p.retryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(int(max(1, (p.retryAfter+time.Second-1)/time.Second))))
	}
	if p.kind.status == http.StatusUnauthorized {
		header.Set("WWW-Authenticate", `Bearer realm="tidegate"`)
	}
	w.WriteHeader(p.kind.status)
	_, _ = w.Write(append(body, '\n')) // the client is gone: nobody is left to tell
}
